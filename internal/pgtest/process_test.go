package pgtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/pgtest"
)

// waitVariable makes TestWaitForInterrupt one that waits; only a test that runs this binary again sets it.
const waitVariable = "COATCHECK_PGTEST_WAIT"

func TestProcessesShareAServer(t *testing.T) {
	t.Parallel()
	server, url := pgtest.Private(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run", "^(TestNew|TestEmpty)")
			cmd.Env = append(os.Environ(), pgtest.URLVariable+"="+server.URL(""))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	var templates, left int
	err := connect(t, url).QueryRow(t.Context(), `
		SELECT count(*) FILTER (WHERE datname LIKE 'coatcheck_template_%' AND datistemplate),
		       count(*) FILTER (WHERE datname LIKE 'test_%')
		FROM pg_database`).Scan(&templates, &left)
	if err != nil || templates != 1 || left != 0 {
		t.Errorf("there are %d templates and %d databases left (%v), want 1 and 0", templates, left, err)
	}
}

func TestWaitForInterrupt(t *testing.T) {
	if os.Getenv(waitVariable) == "" {
		t.Skip("it is one half of TestInterruptStopsTheServer")
	}
	var dir string
	if err := connect(t, pgtest.New(t)).QueryRow(t.Context(), "SHOW data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	fmt.Println("DIR", dir)
	time.Sleep(time.Minute)
}

func TestInterruptStopsTheServer(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestWaitForInterrupt$")
	cmd.Env = append(os.Environ(), waitVariable+"=1", pgtest.URLVariable+"=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var dir string
	lines := bufio.NewScanner(out)
	for dir == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "DIR "); ok {
			dir = rest
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the server's folder: %v", err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted run passed")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}
