package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// sweep runs `coatcheck sweep` once, and returns how long it took from beginning to end.
func (s *site) sweep(ctx context.Context) (time.Duration, error) {
	program, err := filepath.Abs(s.config.coatcheck)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sweep", "--log-level", "warn")
	cmd.Env = rig.Environment(append(rig.Credentials(), s.environment()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	began := time.Now()
	output, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("coatcheck sweep: %w\n%s", err, rig.Tail(string(output), 20))
	}
	return time.Since(began), nil
}
