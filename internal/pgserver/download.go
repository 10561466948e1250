package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// errNotOffered means that no binaries of the version wanted can be downloaded.
var errNotOffered = errors.New("this version is not offered for download")

// offered are the versions that are downloaded, the preferred one first.
var offered = []embeddedpostgres.PostgresVersion{
	embeddedpostgres.V18, embeddedpostgres.V17, embeddedpostgres.V16, embeddedpostgres.V15, embeddedpostgres.V14,
}

// download returns a Postgres of that major version (0: any) from the cache, fetching it first when it is not there.
func download(ctx context.Context, cfg Config, major int, as runAs) (binaries, error) {
	var version embeddedpostgres.PostgresVersion
	for _, v := range offered {
		if major == 0 || leadingNumber(string(v)) == major {
			version = v
			break
		}
	}
	if version == "" {
		return binaries{}, errNotOffered
	}
	cache, err := as.cacheDir()
	if err != nil {
		return binaries{}, err
	}
	home := filepath.Join(cache, "postgres-"+string(version)+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	if b, err := inspect(ctx, filepath.Join(home, "bin"), as); err == nil {
		return b, nil
	}
	cfg.Progress("downloading Postgres %s (about 15 MB, once) to %s", version, home)
	begun := time.Now()
	if err := fetch(ctx, version, home, as.foreign); err != nil {
		return binaries{}, err
	}
	b, err := inspect(ctx, filepath.Join(home, "bin"), as)
	if err != nil {
		// Not left in the cache: the next attempt begins with a fresh download.
		return binaries{}, errors.Join(err, os.RemoveAll(home))
	}
	cfg.Logger.DebugContext(ctx, "postgres downloaded", "version", version, "dir", home, "took", time.Since(begun))
	return b, nil
}

// fetch downloads and unpacks into a folder beside home, then renames, so that home is whole or absent.
// The folder that holds it is opened to all, too, when another user has to go there.
func fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, home string, forOthers bool) error {
	err := os.MkdirAll(filepath.Dir(home), 0o755)
	if err == nil && forOthers {
		err = os.Chmod(filepath.Dir(home), 0o755) // the umask may have taken it back
	}
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(home), "unpacking-")
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	// The library takes no context. When ours ends first the download is left to end by itself, with the process.
	done := make(chan error, 1)
	go func() {
		err := unpack(version, work, home)
		done <- errors.Join(err, os.RemoveAll(work))
	}()
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-done:
	}
	if err != nil {
		return fmt.Errorf("downloading Postgres %s: %w", version, err)
	}
	return nil
}

// unpack has the library fetch and unpack below work, and moves the result to home.
//
// The library knows only how to do that on the way to running a server itself, which it cannot do as root. So it is
// given a data folder that holds nothing but a version: it takes that for an existing one, and its attempt to start
// it, which comes after unpacking, fails at once.
func unpack(version embeddedpostgres.PostgresVersion, work, home string) error {
	data, fresh := filepath.Join(work, "data"), filepath.Join(work, "fresh")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(strconv.Itoa(leadingNumber(string(version)))), 0o600); err != nil {
		return err
	}
	err := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "run")).
		BinariesPath(fresh).
		DataPath(data).
		Port(0). // it looks whether the port is free; this one always is
		Logger(io.Discard)).Start()
	if err == nil {
		return errors.New("the downloaded Postgres started on an empty folder")
	}
	if !strings.HasPrefix(err.Error(), "could not start postgres using") {
		return err
	}
	if err := openToAll(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, home); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // it exists when another process was quicker
	}
	return nil
}

// openToAll lets every user read and enter a tree, whatever the umask was: root's downloads are run by nobody.
func openToAll(tree string) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
