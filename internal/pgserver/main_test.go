package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Some tests need a process that they can kill, or that is another user's: they run this test binary again with a
// role in this variable.
const (
	roleVariable = "COATCHECK_PGSERVER_TEST_ROLE"
	dirVariable  = "COATCHECK_PGSERVER_TEST_DIR"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, os.Getenv(dirVariable)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// play is what a process with a role does. Each prints one line when it is set up.
func play(role, dir string) error {
	ctx := context.Background()
	switch role {
	case "serve": // until killed
		s, err := Start(ctx, Config{Dir: dir})
		if err != nil {
			return err
		}
		fmt.Println("pid", s.proc.pid)
	case "serve as nobody":
		s, err := startAs(ctx, must(Config{Dir: dir}.withDefaults()), dir, nobody())
		if err != nil {
			return err
		}
		fmt.Println("pid", s.proc.pid)
	case "once":
		s, err := Start(ctx, Config{Dir: dir})
		if err != nil {
			return err
		}
		version, err := ping(ctx, s.URL(""))
		if err != nil {
			return err
		}
		fmt.Println("pid", s.proc.pid, version, s.as.name)
		return s.Stop(ctx)
	case "watch":
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			return err
		}
		if _, err := watch(cmd.Process.Pid); err != nil {
			return err
		}
		fmt.Println("pid", cmd.Process.Pid)
	}
	time.Sleep(time.Minute)
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// actor starts this binary with a role and returns it with the process number that it printed.
func actor(t *testing.T, binary, role, dir string, change func(*exec.Cmd)) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the %q process ended without a word: %v", role, err)
	}
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "pid" {
		t.Fatalf("the %q process says %q", role, line)
	}
	t.Logf("the %q process says %q", role, strings.TrimSpace(line))
	return cmd, must(strconv.Atoi(words[1]))
}

// own is a folder that every user can reach, unlike t.TempDir.
func own(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(quickParent(), "pgserver-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something still uses the folder: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return must(filepath.EvalSymlinks(dir))
}

func begin(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// query runs one statement on a connection of its own and returns the first column of its only row, as text.
func query(t *testing.T, s *Server, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var answer string
	for rows.Next() {
		answer = string(rows.RawValues()[0])
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return answer
}

func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}
