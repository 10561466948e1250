package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// OwnTime returns what this process has used so far, without its children.
func OwnTime() time.Duration {
	self, _ := readStat(os.Getpid())
	return self.own
}

// Share is what part of all processors was used, in percent.
func Share(used, took time.Duration) float64 {
	return 100 * used.Seconds() / took.Seconds() / float64(runtime.NumCPU())
}

// Memory is what of a process is in memory, in bytes.
type Memory struct {
	Resident int64 // now
	Peak     int64 // at most, so far
}

// MemoryOf is an error where there is no such process, and on other systems than Linux.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return Memory{}, err
	}
	m, err := parseMemory(string(text))
	if err != nil {
		err = fmt.Errorf("process %d: %w", pid, err)
	}
	return m, err
}

// parseMemory reads a process's status. See proc_pid_status(5).
func parseMemory(status string) (Memory, error) {
	var m Memory
	for name, to := range map[string]*int64{"VmRSS": &m.Resident, "VmHWM": &m.Peak} {
		_, after, found := strings.Cut("\n"+status, "\n"+name+":")
		line, _, _ := strings.Cut(after, "\n")
		fields := strings.Fields(line)
		if !found || len(fields) != 2 || fields[1] != "kB" {
			return Memory{}, fmt.Errorf("its status tells no %s, as of a process that has ended", name)
		}
		kB, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("its status: %s: %w", name, err)
		}
		*to = kB << 10
	}
	return m, nil
}
