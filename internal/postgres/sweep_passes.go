package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/sweep"
)

// passRow is coatcheck.sweep.
type passRow struct {
	bun.BaseModel `bun:"table:coatcheck.sweep,alias:p"`

	ID            int64     `bun:"id"`
	StartedAt     time.Time `bun:"started_at"`
	FinishedAt    time.Time `bun:"finished_at"`
	AskedFor      bool      `bun:"asked_for"`
	Idle          bool      `bun:"idle"`
	Landed        int       `bun:"landed"`
	Rejected      int       `bun:"rejected"`
	NeverUploaded int       `bun:"never_uploaded"`
	Unclaimed     int       `bun:"unclaimed"`
	Deleted       int       `bun:"deleted"`
	DeletedBytes  int64     `bun:"deleted_bytes"`
	Failed        int       `bun:"failed"`
	Purged        int       `bun:"purged"`
	Incomplete    bool      `bun:"incomplete"`
	Error         string    `bun:"error"`
}

// keptPasses is for how long passes are remembered.
const keptPasses = 30 * 24 * time.Hour

// RecordPass implements [sweep.Store]. It forgets what is old, and of passes that did nothing all but the newest. Those that
// another process forgets at the same time are left to it.
func (s *Store) RecordPass(ctx context.Context, p sweep.Pass) error {
	r := &passRow{
		StartedAt: p.StartedAt.UTC(), FinishedAt: p.FinishedAt.UTC(), AskedFor: p.AskedFor, Idle: p.Idle(),
		Landed: p.Landed, Rejected: p.Rejected, NeverUploaded: p.NeverUploaded, Unclaimed: p.Unclaimed,
		Deleted: p.Deleted, DeletedBytes: p.DeletedBytes, Failed: p.HeadErrors + p.DeleteErrors, Purged: p.Purged,
		Incomplete: p.Incomplete, Error: text(p.Error),
	}
	if _, err := s.db.NewInsert().Model(r).ExcludeColumn("id").Returning("id").Exec(ctx); err != nil {
		return unusable(fmt.Errorf("recording a pass: %w", err))
	}
	_, err := s.db.NewRaw(`DELETE FROM coatcheck.sweep WHERE id IN (
		SELECT id FROM coatcheck.sweep WHERE started_at < ? OR idle AND id < ? FOR UPDATE SKIP LOCKED)`,
		s.time().Add(-keptPasses), r.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forgetting old passes: %w", err)
	}
	return nil
}

// Passes returns the newest passes that did anything, newest first.
func (s *Store) Passes(ctx context.Context, limit int) ([]sweep.Pass, error) {
	if limit <= 0 { // bun would take it for no limit at all
		return nil, nil
	}
	var rows []passRow
	if err := s.db.NewSelect().Model(&rows).Where("NOT p.idle").OrderExpr("p.started_at DESC, p.id DESC").Limit(int64(limit)).Scan(ctx); err != nil {
		return nil, unusable(fmt.Errorf("listing passes: %w", err))
	}
	passes := make([]sweep.Pass, len(rows))
	for i, r := range rows {
		passes[i] = sweep.Pass{
			StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, AskedFor: r.AskedFor, Error: r.Error,
			Result: sweep.Result{
				Landed: r.Landed, Rejected: r.Rejected, NeverUploaded: r.NeverUploaded, Unclaimed: r.Unclaimed,
				Deleted: r.Deleted, DeletedBytes: r.DeletedBytes, DeleteErrors: r.Failed, Purged: r.Purged, Incomplete: r.Incomplete,
			},
		}
	}
	return passes, nil
}

// SweptAt returns when the newest pass began, whether it did anything or not; zero: never.
func (s *Store) SweptAt(ctx context.Context) (time.Time, error) {
	var at sql.NullTime
	if err := s.db.NewRaw(`SELECT max(started_at) FROM coatcheck.sweep`).Scan(ctx, &at); err != nil {
		return time.Time{}, unusable(fmt.Errorf("reading when a pass was made: %w", err))
	}
	return at.Time, nil
}
