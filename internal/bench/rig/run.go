package rig

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// watchEvery is how often a process is asked for its peak memory, which only grows.
const watchEvery = 10 * time.Millisecond

// Run runs a process and returns its peak memory: the largest resident size in bytes.
func Run(cmd *exec.Cmd) (peak int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return Watch(cmd)
}

// Watch waits for a process that was started, and returns its peak memory as [Run] does.
func Watch(cmd *exec.Cmd) (peak int64, err error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return max(peak, ownPeak(cmd.ProcessState)), err
		case <-time.After(watchEvery):
			m, _ := MemoryOf(cmd.Process.Pid) // which only Linux can tell, and only while it runs
			peak = max(peak, m.Peak)
		}
	}
}

// ownPeak returns the peak memory of a process that has ended, and of those that it has waited for, as the kernel told
// with its end: exact, but never less than what the process that started it has had (exec_mmap in Linux's fs/exec.c).
// If it is not more, it says nothing, and 0 is returned.
func ownPeak(ended *os.ProcessState) int64 {
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	peak := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" { // which counts bytes
		peak <<= 10
	}
	if mine, _ := MemoryOf(os.Getpid()); peak <= mine.Peak {
		return 0
	}
	return peak
}
