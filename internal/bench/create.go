package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// bareInsertSQL is one PENDING row.
const bareInsertSQL = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, due_at) VALUES ($1, 'bench', $2, $3, 'pending', $4, $5, $6, 'coat.jpg', $7, $8, $9)`

// measureCreate measures CreateUpload as a backend calls it, beside the two things that it cannot do without: a call that
// is decoded, answered and encoded, and a row that is committed.
func measureCreate(ctx context.Context, s *site, out io.Writer) (_ []line, err error) {
	if _, err := s.postgres(ctx); err != nil {
		return nil, err
	}
	if _, err := s.emulator(ctx); err != nil {
		return nil, err
	}
	real, stop, err := s.serve("api", nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	idle, stopIdle, err := s.idle(ctx)
	if err != nil {
		return nil, err
	}
	defer stopIdle()
	conns, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conns.close(ctx)

	c := &callContest{site: s, what: "CreateUpload", aim: "0.80", calls: s.config.count, rows: 1, conns: conns}
	from := firstSince(time.Now())
	settle := func(ctx context.Context, db *pgx.Conn, n int) error { return removeCreated(ctx, db, from, n) }
	c.callers = []caller{
		{realAPI, real.pid, always(real.create), settle},
		{idleAPI, idle.pid, always(idle.create), func(context.Context, *pgx.Conn, int) error { return nil }},
		{bareSQL, 0, always(func(ctx context.Context, _ int) error {
			id, now := uuid.Must(uuid.NewV7()), time.Now()
			return conns.one(ctx, 1, bareInsertSQL, rig.Param(id), owner, rig.Keys.Key(id), rig.ContentType, int64(len(rig.Body)), rig.Checksum(), now,
				now.Add(5*time.Minute), now.Add(24*time.Hour))
		}), settle},
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.report(out)
}

// always is for calls that need nothing prepared.
func always(do call) func(context.Context, *pgx.Conn, int) (call, error) {
	return func(context.Context, *pgx.Conn, int) (call, error) { return do, nil }
}

func (a *api) create(ctx context.Context, _ int) error {
	_, err := a.createUpload(ctx)
	return err
}

func (a *api) createUpload(ctx context.Context) (*coatcheckv1.CreateUploadResponse, error) {
	answer, err := a.uploads.CreateUpload(ctx, connect.NewRequest(&coatcheckv1.CreateUploadRequest{
		ContentType: rig.ContentType, SizeBytes: int64(len(rig.Body)), FileName: "coat.jpg",
		ChecksumSha256: base64.StdEncoding.EncodeToString(rig.Checksum()),
	}))
	if err != nil {
		return nil, err
	}
	if answer.Msg.GetRequest().GetUrl() == "" {
		return nil, errors.New("the answer has no URL")
	}
	return answer.Msg, nil
}

// firstSince is the smallest UUIDv7 of a time: no media created from then on has a smaller one, and the planted ones,
// which are of long ago, all have.
func firstSince(t time.Time) (id uuid.UUID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6], id[8] = 0x70, 0x80
	return id
}

// removeCreated expects n PENDING media since from, and removes them.
func removeCreated(ctx context.Context, db *pgx.Conn, from uuid.UUID, n int) error {
	tag, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1 AND state = 'pending'`, from)
	if err == nil && tag.RowsAffected() != int64(n) {
		err = fmt.Errorf("%d media are PENDING instead of %d", tag.RowsAffected(), n)
	}
	return err
}
