package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// bareConfirmSQL confirms one row, and bareConfirmManySQL many. They judge no more than that it is there to be confirmed.
const (
	bareConfirmSQL = `
	UPDATE coatcheck.media SET state = 'confirmed', claim = $2, confirmed_at = $3, due_at = NULL, revision = revision + 1
	WHERE id = $1 AND state = 'uploaded' AND tenant || '' = 'bench'`
	bareConfirmManySQL = `
	UPDATE coatcheck.media AS m SET state = 'confirmed', claim = c.claim, confirmed_at = $3, due_at = NULL, revision = m.revision + 1
	FROM unnest($1::uuid[], $2::text[]) AS c (id, claim)
	WHERE m.id = c.id AND m.state = 'uploaded' AND m.tenant || '' = 'bench'`
)

// confirmBatch is how many media a batch confirms: as many as the API takes.
const confirmBatch = 100

// never is when what must not be swept is due.
var never = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// confirmation is the benchmark of ConfirmMedia and BatchConfirmMedia, of media that are UPLOADED.
type confirmation struct {
	*site
	conns *connections
	next  int         // the number of the first media of the next turn
	ids   []uuid.UUID // of the turn under way
	batch int
}

// measureConfirm measures both, and expects that S3 is not asked for anything.
func measureConfirm(ctx context.Context, s *site, out io.Writer) (_ []line, err error) {
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

	before, err := s.aws.counts()
	if err != nil {
		return nil, err
	}
	var lines []line
	next := s.config.size
	for _, batch := range []int{1, confirmBatch} {
		f := &confirmation{site: s, conns: conns, next: next, batch: batch}
		c := &callContest{site: s, what: "ConfirmMedia", aim: "0.80", calls: s.config.count, rows: batch, callers: f.callers(real, idle), conns: conns}
		if batch > 1 {
			c.what, c.calls = fmt.Sprintf("BatchConfirmMedia of %d", batch), max(s.config.count/20, mainClients)
		}
		if err := c.run(ctx); err != nil {
			return nil, err
		}
		some, err := c.report(out)
		if err != nil {
			return nil, err
		}
		lines, next = append(lines, some...), f.next
	}
	after, err := s.aws.counts()
	if asked := since(before, after); err == nil && len(asked) > 0 {
		err = fmt.Errorf("S3 was asked for something: %v", asked)
	}
	fmt.Fprintln(out, "\nrequests to S3 meanwhile: none")
	return lines, err
}

func (f *confirmation) callers(real, idle *api) []caller {
	return []caller{
		{realAPI, real.pid, f.plant(f.confirm(real)), f.remove},
		{idleAPI, idle.pid, func(_ context.Context, _ *pgx.Conn, n int) (call, error) {
			f.take(n)
			return f.confirm(idle), nil
		}, func(context.Context, *pgx.Conn, int) error { return nil }},
		{bareSQL, 0, f.plant(f.bare), f.remove},
	}
}

// take is for so many calls.
func (f *confirmation) take(calls int) {
	f.ids = make([]uuid.UUID, calls*f.batch)
	for i := range f.ids {
		f.ids[i] = rig.ID(f.next + i)
	}
	f.next += len(f.ids)
}

func (f *confirmation) plant(do call) func(context.Context, *pgx.Conn, int) (call, error) {
	return func(ctx context.Context, db *pgx.Conn, n int) (call, error) {
		f.take(n)
		return do, rig.InsertUploaded(ctx, db, f.ids, never)
	}
}

// remove expects that all are CONFIRMED, and removes them.
func (f *confirmation) remove(ctx context.Context, db *pgx.Conn, _ int) error {
	tag, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1 AND id <= $2 AND state = 'confirmed'`, f.ids[0], f.ids[len(f.ids)-1])
	if err == nil && tag.RowsAffected() != int64(len(f.ids)) {
		err = fmt.Errorf("%d of %d media are CONFIRMED", tag.RowsAffected(), len(f.ids))
	}
	return err
}

// of are the media of a call.
func (f *confirmation) of(i int) []uuid.UUID { return f.ids[i*f.batch : (i+1)*f.batch] }

func (f *confirmation) confirm(by *api) call {
	return func(ctx context.Context, i int) error { return by.confirm(ctx, f.of(i)) }
}

// confirm confirms one by ConfirmMedia, and more by BatchConfirmMedia.
func (a *api) confirm(ctx context.Context, ids []uuid.UUID) error {
	if len(ids) == 1 {
		_, err := a.medias.ConfirmMedia(ctx, connect.NewRequest(&coatcheckv1.ConfirmMediaRequest{MediaId: ids[0].String(), Claim: "post/1"}))
		return err
	}
	in := &coatcheckv1.BatchConfirmMediaRequest{}
	for _, id := range ids {
		in.Items = append(in.Items, &coatcheckv1.ConfirmMediaRequest{MediaId: id.String(), Claim: "post/1"})
	}
	answer, err := a.medias.BatchConfirmMedia(ctx, connect.NewRequest(in))
	if err == nil && len(answer.Msg.GetMedia()) != len(ids) {
		err = fmt.Errorf("%d media were confirmed instead of %d", len(answer.Msg.GetMedia()), len(ids))
	}
	return err
}

func (f *confirmation) bare(ctx context.Context, i int) error {
	ids := f.of(i)
	if len(ids) == 1 {
		return f.conns.one(ctx, 1, bareConfirmSQL, rig.Param(ids[0]), "post/1", time.Now())
	}
	claims := strings.Split(strings.Repeat("post/1 ", len(ids)-1)+"post/1", " ")
	return f.conns.one(ctx, len(ids), bareConfirmManySQL, rig.Params(ids), claims, time.Now())
}
