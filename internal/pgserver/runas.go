package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sharedCache is where root's downloads go when another user has to run them.
const sharedCache = "/var/cache/coatcheck"

// runAs is the user that Postgres runs as.
type runAs struct {
	name string
	// uid and gid own the files, as this process sees them.
	uid, gid int
	// foreign means that they are not this process's own, so that files have to be given to them.
	foreign bool
	// apply makes a command run so.
	apply func(*syscall.SysProcAttr)
}

func self() runAs {
	return runAs{name: "this user", uid: os.Geteuid(), gid: os.Getegid(), apply: func(*syscall.SysProcAttr) {}}
}

// another is an ordinary user that root turns into.
func another(name string, uid, gid int) runAs {
	return runAs{
		name: name, uid: uid, gid: gid, foreign: true,
		apply: func(a *syscall.SysProcAttr) {
			a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		},
	}
}

// nobody is the user of that name, or the one that has its usual number.
func nobody() runAs {
	uid, gid := 65534, 65534
	if u, err := user.Lookup("nobody"); err == nil {
		if n, err := strconv.Atoi(u.Uid); err == nil {
			uid = n
		}
		if n, err := strconv.Atoi(u.Gid); err == nil {
			gid = n
		}
	}
	return another("nobody", uid, gid)
}

// chooseRunAs returns the user to run Postgres as on that data folder; see the package comment for the rule.
func chooseRunAs(ctx context.Context, dir string) (runAs, error) {
	if os.Geteuid() != 0 {
		return chooseSelf(ctx), nil
	}
	uid, gid, err := owner(dir)
	if err != nil {
		return runAs{}, err
	}
	if uid != 0 {
		return chooseOwner(ctx, dir, uid, gid)
	}
	var refusals []error
	if as, ok := renamed(0, 0); ok {
		err := as.works(ctx)
		if err == nil {
			return as, nil
		}
		refusals = append(refusals, fmt.Errorf("in a user namespace: %w", err))
	}
	as := nobody()
	if err := as.works(ctx); err != nil {
		refusals = append(refusals, fmt.Errorf("as nobody: %w", err))
		return runAs{}, fmt.Errorf("Postgres refuses to run as root, and root may not start it otherwise; "+
			"run coatcheck as an ordinary user, or give a database URL: %w", errors.Join(refusals...))
	}
	return as, as.reaches(dir)
}

// chooseSelf is for an ordinary user. One that the system has no name for, as containers are often run, is refused by
// initdb, and so gets another number where that can be had.
func chooseSelf(ctx context.Context) runAs {
	if !known(os.Geteuid()) {
		if as, ok := renamed(os.Geteuid(), os.Getegid()); ok && as.works(ctx) == nil {
			return as
		}
	}
	return self()
}

// chooseOwner is for root on somebody else's folder.
func chooseOwner(ctx context.Context, dir string, uid, gid int) (runAs, error) {
	as := another("user "+strconv.Itoa(uid), uid, gid)
	if !known(uid) {
		if in, ok := renamed(uid, gid); ok && in.works(ctx) == nil {
			as = in
		}
	}
	if err := as.works(ctx); err != nil {
		return runAs{}, fmt.Errorf("running Postgres as the owner of %s (root cannot run it as itself): %w", dir, err)
	}
	return as, as.reaches(dir)
}

// known tells whether the system has a name for a user.
func known(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// owner returns who owns the data in a data folder, or the folder itself while it holds none.
func owner(dir string) (uid, gid int, err error) {
	info, err := os.Stat(filepath.Join(dir, dataName))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(dir)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("finding the owner of the data folder: %w", err)
	}
	uid, gid = ownerOf(info)
	return uid, gid, nil
}

func ownerOf(info fs.FileInfo) (uid, gid int) {
	stat := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid), int(stat.Gid)
}

// works tries whether a process can be started so at all: containers forbid namespaces, and sometimes credentials.
func (as runAs) works(ctx context.Context) error {
	_, err := as.output(ctx, "/bin/sh", "-c", ":")
	return err
}

// reaches tries whether the user can enter the folders that lead to dir; dir itself will be the user's own.
func (as runAs) reaches(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := as.output(context.Background(), "/bin/sh", "-c", `cd "$0"`, parent); err != nil {
		return fmt.Errorf("%s, who has to run Postgres because root cannot, cannot enter %s; "+
			"choose a data folder whose parents everybody can enter, such as %s", as.name, parent,
			filepath.Join(os.TempDir(), "coatcheck"))
	}
	return nil
}

// cacheDir is where downloads are kept. The user has to be able to reach it.
func (as runAs) cacheDir() (string, error) {
	if as.foreign {
		return sharedCache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(dir, "coatcheck"), nil
}

// command prepares a command that runs so, with an environment in which nothing changes what Postgres does.
func (as runAs) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	for _, v := range os.Environ() {
		key, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(key, "PG") && !strings.HasPrefix(key, "LC_") && !strings.HasPrefix(key, "LANG") && key != "TZ" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	as.apply(cmd.SysProcAttr)
	return cmd
}

// output runs a short command and returns what it printed; the error carries what it complained.
func (as runAs) output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := as.command(ctx, name, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil && complaint.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), err
}

// give makes a tree the user's own, where it is not.
func (as runAs) give(tree string) error {
	if !as.foreign {
		return nil
	}
	err := filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, as.uid, as.gid)
	})
	if err != nil {
		return fmt.Errorf("giving %s to %s: %w", tree, as.name, err)
	}
	return nil
}
