package pgserver

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// without skips a test that this machine cannot run, unless all are to.
func without(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("COATCHECK_TEST_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		without(t, "needs to be root")
	}
}

func TestRootBelowAFolderOfItsOwn(t *testing.T) {
	t.Parallel()
	asRoot(t)
	if as, ok := renamed(0, 0); !ok || as.works(t.Context()) != nil {
		without(t, "user namespaces are not to be had")
	}
	home := own(t)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	s := begin(t, Config{Dir: filepath.Join(home, "pg")})
	if got := query(t, s, "SELECT 1"); got != "1" {
		t.Errorf("answer %q", got)
	}
	if uid, _, err := owner(s.folder.dir); err != nil || uid != 0 {
		t.Errorf("the folder was given away to %d (%v)", uid, err)
	}
}

func TestRootAsNobody(t *testing.T) {
	t.Parallel()
	asRoot(t)
	dir := own(t)
	cfg := must(Config{Dir: dir}.withDefaults())
	s, err := startAs(t.Context(), cfg, dir, nobody())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(s.proc.pid)))
	if err == nil {
		if uid, _ := ownerOf(info); uid != nobody().uid {
			t.Errorf("it runs as %d", uid)
		}
	}
	query(t, s, "CREATE TABLE kept AS SELECT 42 AS n")
	stop(t, s)
	// What is nobody's now is served as nobody from then on.
	s = begin(t, Config{Dir: dir})
	if s.as.uid != nobody().uid {
		t.Errorf("it runs as %s", s.as.name)
	}
	if got := query(t, s, "SELECT n FROM kept"); got != "42" {
		t.Errorf("kept %q, want 42", got)
	}
}

func TestFolderThatNobodyCannotReach(t *testing.T) {
	t.Parallel()
	asRoot(t)
	home := own(t)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	err := nobody().reaches(filepath.Join(home, "pg"))
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+home) {
		t.Errorf("error is %v, want one that names the folder", err)
	}
}

// TestOrdinaryUser runs a whole life as another user; every other test does, too, where the tests are not root's.
// Afterwards root serves that user's folder as its owner and locks nobody out.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	asRoot(t)
	dir := own(t)
	// The test binary lies where only root can go.
	binary := filepath.Join(dir, "pgserver.test")
	copyFile(t, os.Args[0], binary)
	const nameless = 54321
	for name, uid := range map[string]int{"named": nobody().uid, "nameless": nameless} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as, ok := renamed(uid, uid)
			if uid == nameless && (!ok || as.works(t.Context()) != nil) {
				without(t, "user namespaces are not to be had")
			}
			for _, first := range []string{"user", "root"} {
				home := filepath.Join(dir, name+first)
				pg := filepath.Join(home, "pg")
				for _, d := range []string{home, pg} {
					if err := errors.Join(os.Mkdir(d, 0o700), os.Chown(d, uid, uid)); err != nil {
						t.Fatal(err)
					}
				}
				live := func() {
					cmd, pid := actor(t, binary, "once", pg, func(cmd *exec.Cmd) {
						cmd.Dir = home
						cmd.Env = append(cmd.Env, "HOME="+home)
						cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
					})
					if err := cmd.Wait(); err != nil {
						t.Errorf("it ended with %v", err)
					}
					gone(t, pid)
				}
				if first == "user" {
					live()
				}
				s := begin(t, Config{Dir: pg})
				if s.as.uid != uid {
					t.Errorf("root runs it as %s", s.as.name)
				}
				stop(t, s)
				live()
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
