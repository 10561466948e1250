// Package rig is what the benchmarks share: a durable Postgres and servers in processes of their own, populations of
// media, and the measuring of processes.
package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Machine says what the figures were measured on.
func Machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

// Environment is that of a child: the machine's own settings must not reach it. More is added to it.
func Environment(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "COATCHECK_") && !strings.HasPrefix(name, "PG") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// Credentials are those that the emulator accepts, for the environment of a child.
func Credentials() []string {
	return []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
}

// TempDir makes a folder for files, which is meant to be on a disk. Other users can read it, because Postgres may run as
// one.
func TempDir() (string, error) {
	parent := os.TempDir()
	if _, err := os.Stat("/var/tmp"); err == nil && os.Getenv("TMPDIR") == "" {
		parent = "/var/tmp" // unlike /tmp never in memory
	}
	dir, err := os.MkdirTemp(parent, "coatcheck-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// PostgresDir is where in a folder of files Postgres has its own.
func PostgresDir(dir string) string { return filepath.Join(dir, "pg") }

// Tail returns the last lines of a text.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
