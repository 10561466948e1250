package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binaries are one installation of Postgres.
type binaries struct {
	dir     string
	version string // as it names itself, such as 15.18
	major   int
}

// chooseBinaries returns the Postgres to run as that user on that folder. The version that made the folder decides
// where there is one: Postgres does not read another major version's data.
func chooseBinaries(ctx context.Context, cfg Config, f *folder, as runAs) (binaries, error) {
	made, err := f.major()
	if err != nil {
		return binaries{}, err
	}
	if cfg.BinDir != "" {
		b, err := inspect(ctx, cfg.BinDir, as)
		if err == nil && made != 0 && b.major != made {
			err = wrongVersion(f, made, "the one in "+cfg.BinDir+" is "+b.version)
		}
		return b, err
	}
	var found []string
	for _, dir := range installed(ctx) {
		b, err := inspect(ctx, dir, as)
		switch {
		case err != nil:
			cfg.Logger.DebugContext(ctx, "postgres passed over", "bin", dir, "error", err)
		case made == 0 || b.major == made:
			return b, nil
		default:
			found = append(found, b.version+" in "+dir)
		}
	}
	if err := ctx.Err(); err != nil { // it made each look unusable, and none may be
		return binaries{}, err
	}
	b, err := download(ctx, cfg, made, as)
	if errors.Is(err, errNotOffered) {
		have := "none other is installed"
		if len(found) > 0 {
			have = "installed: " + strings.Join(found, ", ")
		}
		return binaries{}, wrongVersion(f, made, have)
	}
	if err != nil {
		return binaries{}, fmt.Errorf("no usable Postgres is installed, and getting one failed; "+
			"install Postgres %d or newer, or give a database URL: %w", MinMajor, err)
	}
	return b, nil
}

func wrongVersion(f *folder, made int, have string) error {
	return fmt.Errorf("the data folder %s was made by Postgres %d, which is needed to read it (%s): install Postgres %d, "+
		"or choose another folder, or delete this one to begin anew without its content", f.dir, made, have, made)
}

// installed lists the folders that could hold an installed Postgres, the likeliest first. They need not exist.
func installed(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// A link in PATH may lead to the real folder, where initdb lies too.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                   // the PostgreSQL project's RPMs
		"/usr/lib/postgresql*/bin",                           // Alpine, SUSE
		"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew on Apple silicon
		"/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew on Linux
		"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
		"/Library/PostgreSQL/*/bin",                          // EDB's installer
		"/usr/local/pgsql/bin",                               // built from source
	} {
		matches, _ := filepath.Glob(pattern) // the only error is a malformed pattern
		slices.SortFunc(matches, func(a, b string) int { return versionInPath(b) - versionInPath(a) })
		dirs = append(dirs, matches...)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	var once []string
	for _, dir := range dirs {
		if !slices.Contains(once, dir) {
			once = append(once, dir)
		}
	}
	return once
}

var numberInPath = regexp.MustCompile(`\d+`)

// versionInPath returns the last number in a path: the version, where folders are named for it.
func versionInPath(path string) int {
	all := numberInPath.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1])
	return n
}

var versionText = regexp.MustCompile(`\(PostgreSQL\)\s+((\d+)\S*)`)

// inspect reads the version of the Postgres in a folder by running it as the user that would run it, which also
// shows that this user can.
func inspect(ctx context.Context, dir string, as runAs) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, fmt.Errorf("looking for Postgres in %s: %w", dir, err)
	}
	out, err := as.output(ctx, filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return binaries{}, fmt.Errorf("running the Postgres in %s as %s: %w", dir, as.name, err)
	}
	m := versionText.FindStringSubmatch(out)
	if m == nil {
		return binaries{}, fmt.Errorf("reading the version of the Postgres in %s: it says %q", dir, out)
	}
	b := binaries{dir: dir, version: m[1], major: leadingNumber(m[2])}
	if b.major < MinMajor {
		return binaries{}, fmt.Errorf("the Postgres in %s is %s; %d or newer is needed", dir, b.version, MinMajor)
	}
	return b, nil
}

// leadingNumber returns the number that a version begins with, or 0.
func leadingNumber(version string) int {
	n, _ := strconv.Atoi(numberInPath.FindString(version))
	return n
}
