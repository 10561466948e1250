package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// watch starts a shell that interrupts a process when this one dies: it waits at a pipe whose other end only this
// process has, and which the system closes however this process ends. Release ends the shell, and is called when the
// watched process is gone. It stands in for the parent-death signal where there is none.
func watch(pid int) (release func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guarding postgres: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", `read -r line; kill -INT "$0"`, strconv.Itoa(pid))
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C must not end it first
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("guarding postgres: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = w.Close()
	}, nil
}
