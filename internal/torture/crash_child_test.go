package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// crashBinary is the real program, built once for the tests that run at a time.
var crashBinary struct {
	mu    sync.Mutex
	users int
	path  string
}

// crashBuild builds the program for a test and those of its parts, unless another has it built already.
func crashBuild(t testing.TB) {
	t.Helper()
	b := &crashBinary
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users == 0 {
		dir, err := os.MkdirTemp("", "coatcheck-torture-")
		if err != nil {
			t.Fatal(err)
		}
		b.path = filepath.Join(dir, "coatcheck")
		if out, err := exec.Command("go", "build", "-o", b.path, "../../cmd/coatcheck").CombinedOutput(); err != nil {
			_ = os.RemoveAll(dir)
			t.Fatalf("building coatcheck: %v\n%s", err, out)
		}
	}
	b.users++
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.users--; b.users == 0 {
			_ = os.RemoveAll(filepath.Dir(b.path))
		}
	})
}

// crashChild is a process of the program.
type crashChild struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended, when exited is closed
	out    bytes.Buffer

	address chan string // where it serves; closed without one when it ends
	mu      sync.Mutex
	log     bytes.Buffer
}

// crashStart starts a process of the program that crashBuild has built, with these arguments and settings, which come by
// the environment. It does not outlive the test.
func crashStart(t testing.TB, env map[string]string, args ...string) *crashChild {
	t.Helper()
	c := &crashChild{cmd: exec.Command(crashBinary.path, args...), exited: make(chan struct{}), address: make(chan string, 1)}
	for _, v := range os.Environ() {
		// The machine's own settings must not reach it.
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "COATCHECK_") && !strings.HasPrefix(name, "PG") {
			c.cmd.Env = append(c.cmd.Env, v)
		}
	}
	for name, value := range env {
		c.cmd.Env = append(c.cmd.Env, name+"="+value)
	}
	c.cmd.Stdout = &c.out
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("starting coatcheck: %v", err)
	}
	go func() {
		defer close(c.exited)
		c.read(bufio.NewScanner(stderr))
		close(c.address)
		c.err = c.cmd.Wait()
	}()
	t.Cleanup(c.kill)
	return c
}

// read keeps what the process logs, until it ends.
func (c *crashChild) read(lines *bufio.Scanner) {
	lines.Buffer(nil, 1<<20)
	found := false
	for lines.Scan() {
		c.mu.Lock()
		c.log.Write(lines.Bytes())
		c.log.WriteByte('\n')
		c.mu.Unlock()
		var record struct{ Msg, Address string }
		if !found && json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
			found = true
			c.address <- record.Address
		}
	}
}

// logged returns what the process has logged so far.
func (c *crashChild) logged() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// kill ends the process as a power cut would, and returns when it is gone.
func (c *crashChild) kill() {
	_ = c.cmd.Process.Kill() // an error means that it has ended
	<-c.exited
}

// done reports whether the process has ended within the limit.
func (c *crashChild) done(limit time.Duration) bool {
	select {
	case <-c.exited:
		return true
	default:
	}
	select {
	case <-c.exited:
		return true
	case <-time.After(limit):
		return false
	}
}
