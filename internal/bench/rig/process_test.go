package rig

import (
	"os"
	"runtime"
	"testing"
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
