package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stat is what Linux tells of a process. See proc_pid_stat(5).
type stat struct {
	parent int
	own    time.Duration // processor time, user and system
	ended  time.Duration // that of children that have ended and were waited for
}

// tick is the unit of the kernel's figures: 1/100 s on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// readStat is an error where there is no such process, and on other systems than Linux.
func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in parentheses, which may hold anything.
	after := text[bytes.LastIndexByte(text, ')')+1:]
	fields := strings.Fields(string(after)) // from the third on
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("process %d: unexpected stat %q", pid, text)
	}
	number := func(field int) int {
		n, _ := strconv.Atoi(fields[field-3])
		return n
	}
	return stat{
		parent: number(4),
		own:    time.Duration(number(14)+number(15)) * tick,
		ended:  time.Duration(number(16)+number(17)) * tick,
	}, nil
}

// ProcessorTime returns what a process has used so far, with its children.
func ProcessorTime(pid int) (time.Duration, error) {
	root, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	total := root.own + root.ended
	all, err := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		n, _ := strconv.Atoi(filepath.Base(dir))
		child, statErr := readStat(n)
		if statErr == nil && child.parent == pid {
			total += child.own
		}
	}
	return total, err
}

// peakOf returns the largest resident size of a process so far in bytes, 0 where that cannot be told.
func peakOf(pid int) int64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kB << 10
		}
	}
	return 0
}
