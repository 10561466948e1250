package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is a process of the product that serves until it is told to end.
type Server struct {
	PID     int
	Address string // that it listens on

	cmd    *exec.Cmd
	ended  chan error
	mu     sync.Mutex
	logged []string // the last lines
}

// readyLimit is how long a server may take to begin, and endLimit to end.
const (
	readyLimit = 30 * time.Second
	endLimit   = 25 * time.Second
)

// StartServer starts `coatcheck serve` with arguments and waits until its log says that it serves.
func StartServer(program string, args, env []string) (*Server, error) {
	cmd := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = Environment(append(Credentials(), env...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{PID: cmd.Process.Pid, cmd: cmd, ended: make(chan error, 1)}
	serving := make(chan string, 1)
	go func() {
		s.follow(output, serving)
		s.ended <- cmd.Wait()
	}()
	select {
	case s.Address = <-serving:
		return s, nil
	case err := <-s.ended:
		return nil, fmt.Errorf("coatcheck did not start: %w\n%s", err, s.log())
	case <-time.After(readyLimit):
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("coatcheck does not serve after %s\n%s", readyLimit, s.log()), <-s.ended)
	}
}

// follow reads the log, which must not fill its pipe.
func (s *Server) follow(log io.Reader, serving chan<- string) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "serving" {
			serving <- entry.Address
		}
		s.mu.Lock()
		s.logged = append(s.logged[max(0, len(s.logged)-19):], lines.Text())
		s.mu.Unlock()
	}
}

func (s *Server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.logged, "\n")
}

// Stop ends it, and expects that it does so of its own accord.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("coatcheck: %w\n%s", err, s.log())
		}
		return nil
	case <-time.After(endLimit):
		_ = s.cmd.Process.Kill()
		return errors.Join(fmt.Errorf("coatcheck does not end\n%s", s.log()), <-s.ended)
	}
}
