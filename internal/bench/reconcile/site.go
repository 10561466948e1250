package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// site is the machinery around the runs: a planted database and a filled bucket, each in a process of its own.
type site struct {
	objects  population
	kind     string
	dir      string // for files
	database string
	endpoint string

	postgres, s3 int    // process numbers
	version      string // of Postgres
	closers      []func() error
}

// openSite makes all ready, which takes long. The caller closes it, also after an error.
func openSite(ctx context.Context, c config, n int) (*site, error) {
	s := &site{objects: population(n), kind: c.kind(n)}
	if err := s.makeDir(c.keep); err != nil {
		return s, err
	}
	if err := s.startPostgres(ctx); err != nil {
		return s, err
	}
	if err := plant(ctx, s.database, s.objects); err != nil {
		return s, err
	}
	return s, s.startS3(ctx, c.latency)
}

// close ends the processes and removes what is not to be kept.
func (s *site) close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = append(errs, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return errors.Join(errs...)
}

// makeDir makes the folder for files, which is meant to be on a disk.
func (s *site) makeDir(keep string) error {
	if keep != "" {
		s.dir = filepath.Join(keep, fmt.Sprint(s.objects))
		return os.MkdirAll(s.dir, 0o755)
	}
	var err error
	if s.dir, err = rig.TempDir(); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(s.dir) })
	return nil
}

func (s *site) startPostgres(ctx context.Context) error {
	server, err := rig.StartPostgres(ctx, s.dir)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return server.Stop(ctx) })
	s.database, s.version, s.postgres = server.URL, server.Version, server.PID
	return nil
}

// startS3 starts this program as S3.
func (s *site) startS3(ctx context.Context, latency time.Duration) error {
	server, err := rig.StartSelf(ctx, "serve", "-kind", s.kind, "-objects", fmt.Sprint(s.objects), "-latency", latency.String())
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { server.Stop(); return nil })
	s.s3, s.endpoint = server.PID, server.Ready
	return nil
}
