package rig

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// status is as Linux 6 writes it, cut.
const status = "Name:\tVmRSS: 7 kB\nState:\tS (sleeping)\nVmPeak:\t 1240068 kB\nVmHWM:\t   91216 kB\nVmRSS:\t   47104 kB\nThreads:\t11\n"

func TestParseMemory(t *testing.T) {
	t.Parallel()
	m, err := parseMemory(status)
	if want := (Memory{Resident: 47104 << 10, Peak: 91216 << 10}); err != nil || m != want {
		t.Errorf("%+v, %v, want %+v", m, err, want)
	}
	for _, odd := range []string{"", "Name:\tzombie\nState:\tZ (zombie)\n", "VmHWM:\t1 kB\nVmRSS:\t1 pages\n", "VmHWM:\t1 kB\nVmRSS:\tmuch kB\n"} {
		if m, err := parseMemory(odd); err == nil {
			t.Errorf("%q is read as %+v", odd, m)
		}
	}
}

// TestMemoryOf: this process has memory, and none that has no number.
func TestMemoryOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Peak < 1<<20 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := MemoryOf(0); err == nil {
		t.Error("a process without number has memory")
	}
}

// TestOwnTime: what a child uses is told with its parent's, and is not its parent's own.
func TestOwnTime(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Wait() }) // the test's context has killed it
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		all, err := ProcessorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		own := OwnTime()
		if all-own > 100*time.Millisecond {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("with its children it has used %v, of which %v is its own", all, own)
		}
	}
}
