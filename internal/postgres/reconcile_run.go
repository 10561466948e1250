package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// runRow is coatcheck.reconciliation.
type runRow struct {
	bun.BaseModel `bun:"table:coatcheck.reconciliation,alias:r"`

	ID             uuid.UUID         `bun:"id,pk,type:uuid"`
	Source         string            `bun:"source"`
	SourceAt       time.Time         `bun:"source_at,nullzero"`
	DryRun         bool              `bun:"dry_run"`
	Adopt          bool              `bun:"adopt"`
	AdoptPrefix    string            `bun:"adopt_prefix"`
	Policy         reconcile.Policy  `bun:"policy"`
	Quarantine     string            `bun:"quarantine"`
	GraceSeconds   float64           `bun:"grace_seconds"`
	MaxStrayShare  float64           `bun:"max_stray_share"`
	DeleteBudget   int64             `bun:"delete_budget"`
	BudgetLeft     int64             `bun:"budget_left"`
	AbortSeconds   float64           `bun:"abort_seconds"`
	Estimate       int64             `bun:"estimate"`
	Phase          reconcile.Phase   `bun:"phase"`
	Outcome        reconcile.Outcome `bun:"outcome,nullzero"`
	Explanation    string            `bun:"explanation"`
	Counts         counts            `bun:"counts,type:jsonb,nullzero"`
	StartedAt      time.Time         `bun:"started_at"`
	PriorStartedAt time.Time         `bun:"prior_started_at,nullzero"`
	ListedAt       time.Time         `bun:"listed_at,nullzero"`
	FinishedAt     time.Time         `bun:"finished_at,nullzero"`
}

// counts are stored as JSON.
type counts reconcile.Counts

// Scan implements [sql.Scanner].
func (c *counts) Scan(src any) error {
	*c = counts{}
	return scanJSON(src, (*map[reconcile.Count]int64)(c))
}

func countsJSON(c reconcile.Counts) (string, error) {
	text, err := json.Marshal(c)
	return string(text), err
}

func (r *runRow) run() *reconcile.Run {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	run := &reconcile.Run{
		ID: r.ID, Settings: reconcile.Settings{
			Source: r.Source, SourceAt: r.SourceAt, DryRun: r.DryRun, Adopt: r.Adopt, AdoptPrefix: r.AdoptPrefix, Policy: r.Policy, Quarantine: r.Quarantine,
			Grace: seconds(r.GraceSeconds), MaxStrayShare: r.MaxStrayShare, DeleteBudget: r.DeleteBudget,
			AbortUploadsAfter: seconds(r.AbortSeconds),
		},
		Phase: r.Phase, Outcome: r.Outcome, Explanation: r.Explanation, Counts: reconcile.Counts(r.Counts), Estimate: r.Estimate,
		StartedAt: r.StartedAt, PriorStartedAt: r.PriorStartedAt, ListedAt: r.ListedAt, FinishedAt: r.FinishedAt,
	}
	if run.Counts == nil {
		run.Counts = reconcile.Counts{}
	}
	return run
}

// maxAhead is how far a run may seem to begin in the future and still count: clocks differ a little, and a schedule that is
// kept up for as long does no harm.
const maxAhead = time.Hour

// BeginRun implements [reconcile.Store].
func (s *Store) BeginRun(ctx context.Context, c reconcile.Settings, estimate int64, ranges []reconcile.Range) (*reconcile.Run, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	r := &runRow{
		ID: id, Source: c.Source, SourceAt: c.SourceAt.UTC(), DryRun: c.DryRun, Adopt: c.Adopt, AdoptPrefix: c.AdoptPrefix, Policy: c.Policy, Quarantine: c.Quarantine,
		GraceSeconds: c.Grace.Seconds(), MaxStrayShare: c.MaxStrayShare, DeleteBudget: c.DeleteBudget, BudgetLeft: c.DeleteBudget,
		AbortSeconds: c.AbortUploadsAfter.Seconds(), Estimate: estimate, Phase: reconcile.PhaseListing, StartedAt: s.time(),
	}
	type shardRow struct {
		bun.BaseModel `bun:"table:coatcheck.reconciliation_shard"`

		RunID  uuid.UUID `bun:"run_id,type:uuid"`
		Number int       `bun:"number"`
		Prefix string    `bun:"prefix"`
		After  string    `bun:"after"`
		Until  string    `bun:"until"`
	}
	shards := make([]shardRow, len(ranges))
	for i, g := range ranges {
		shards[i] = shardRow{RunID: id, Number: i, Prefix: g.Prefix, After: g.After, Until: g.Until}
	}
	identity := s.identity(ctx)
	err = s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		var prior sql.NullTime
		err := tx.NewRaw(`SELECT max(started_at) FROM coatcheck.reconciliation WHERE outcome = 'finished' AND source = 'listing' AND started_at <= ?`,
			r.StartedAt).Scan(ctx, &prior)
		if err != nil {
			return err
		}
		r.PriorStartedAt = prior.Time
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return err
		}
		if _, err = tx.NewInsert().Model(&shards).Exec(ctx); err != nil {
			return err
		}
		return forgetRestored(ctx, tx, identity, r)
	})
	if sqlState(err) == "23505" {
		return nil, reconcile.ErrActive
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("beginning a reconciliation: %w", err))
	}
	run := r.run()
	run.Shards, run.WorkedAt = len(shards), r.StartedAt
	return run, nil
}

// identity names the Postgres cluster and its timeline, and is empty where Postgres does not tell.
func (s *Store) identity(ctx context.Context) string {
	var identity string
	err := s.db.NewRaw(`SELECT system_identifier || '/' || timeline_id FROM pg_control_system(), pg_control_checkpoint()`).Scan(ctx, &identity)
	if err != nil {
		return ""
	}
	return identity
}

// forgetRestored lets the grace periods of all strays begin anew in a database that was restored elsewhere, or to another
// point in time: what has been adopted since the backup has lost its row, and is known as the stray that it was before.
// A failover does the same, which costs the strays some time.
func forgetRestored(ctx context.Context, tx bun.Tx, identity string, r *runRow) error {
	if identity == "" {
		return nil
	}
	var was sql.NullString
	err := tx.NewRaw(`WITH was AS (SELECT database_identity FROM coatcheck.deployment FOR UPDATE)
		UPDATE coatcheck.deployment AS d SET database_identity = ? FROM was RETURNING was.database_identity`, identity).Scan(ctx, &was)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!was.Valid || was.String == identity) {
		return nil
	}
	if err == nil {
		_, err = tx.NewRaw(`UPDATE coatcheck.stray SET first_seen_at = ?, first_run = ? WHERE removed_at IS NULL`, r.StartedAt, r.ID).Exec(ctx)
	}
	return err
}

// Active implements [reconcile.Store].
func (s *Store) Active(ctx context.Context) (*reconcile.Run, error) {
	var id uuid.UUID
	err := s.db.NewRaw(`SELECT id FROM coatcheck.reconciliation WHERE phase <> 'done'`).Scan(ctx, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("looking for a reconciliation: %w", err))
	}
	return s.GetRun(ctx, id)
}

// GetRun implements [reconcile.Store].
func (s *Store) GetRun(ctx context.Context, id uuid.UUID) (*reconcile.Run, error) {
	r := new(runRow)
	err := s.db.NewSelect().Model(r).Where("r.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("reading a reconciliation: %w", err))
	}
	run := r.run()
	var shards []struct {
		Phase       reconcile.ShardPhase
		Counts      counts
		LeasedUntil sql.NullTime
	}
	err = s.db.NewRaw(`SELECT phase, counts, leased_until FROM coatcheck.reconciliation_shard WHERE run_id = ?`, id).Scan(ctx, &shards)
	if err != nil {
		return nil, fmt.Errorf("reading the shards of a reconciliation: %w", err)
	}
	run.WorkedAt = run.StartedAt
	if run.ListedAt.After(run.WorkedAt) {
		run.WorkedAt = run.ListedAt
	}
	for _, sh := range shards {
		run.Shards++
		if sh.Phase == reconcile.ShardRemoved || sh.Phase == reconcile.ShardListed && run.Phase != reconcile.PhaseRemoving {
			run.ShardsDone++
		}
		if run.Phase != reconcile.PhaseDone { // it is in the run itself afterwards
			run.Counts.Add(reconcile.Counts(sh.Counts))
		}
		if sh.LeasedUntil.Valid && sh.LeasedUntil.Time.After(run.WorkedAt) {
			run.WorkedAt = sh.LeasedUntil.Time
		}
	}
	return run, nil
}

// Runs returns the newest runs, newest first.
func (s *Store) Runs(ctx context.Context, limit int) ([]*reconcile.Run, error) {
	var ids []uuid.UUID
	err := s.db.NewRaw(`SELECT id FROM coatcheck.reconciliation ORDER BY started_at DESC, id DESC LIMIT ?`, limit).Scan(ctx, &ids)
	if err != nil {
		return nil, unusable(fmt.Errorf("listing reconciliations: %w", err))
	}
	var runs []*reconcile.Run
	for _, id := range ids {
		run, err := s.GetRun(ctx, id)
		if err != nil {
			return nil, err
		}
		if run != nil {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// LastStarted implements [reconcile.Store]. A run that seems to begin in the future was begun by a process whose clock was wrong:
// counted, it would keep all others from being begun until then.
func (s *Store) LastStarted(ctx context.Context) (time.Time, error) {
	var at sql.NullTime
	err := s.db.NewRaw(`SELECT max(started_at) FROM coatcheck.reconciliation WHERE source = 'listing' AND NOT dry_run AND started_at <= ?`,
		s.time().Add(maxAhead)).Scan(ctx, &at)
	if err != nil {
		return time.Time{}, unusable(fmt.Errorf("reading when a reconciliation was begun: %w", err))
	}
	return at.Time, nil
}

// Estimate implements [reconcile.Store]. It is what the last vacuum or analyze counted.
func (s *Store) Estimate(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.NewRaw(`SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'coatcheck.media'::regclass`).Scan(ctx, &n)
	if err != nil {
		return 0, unusable(fmt.Errorf("estimating the number of media: %w", err))
	}
	return n, nil
}

// AdoptedPrefixes implements [reconcile.Store].
func (s *Store) AdoptedPrefixes(ctx context.Context) ([]string, error) {
	var prefixes []string
	err := s.db.NewRaw(`SELECT prefix FROM coatcheck.adopted_prefix ORDER BY prefix`).Scan(ctx, &prefixes)
	if err != nil {
		return nil, unusable(fmt.Errorf("reading the adopted prefixes: %w", err))
	}
	return prefixes, nil
}

// BeginRemoving implements [reconcile.Store].
func (s *Store) BeginRemoving(ctx context.Context, id uuid.UUID) error {
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewRaw(`UPDATE coatcheck.reconciliation SET phase = 'removing', listed_at = ? WHERE id = ? AND phase = 'listing'`,
			s.time(), id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.NewRaw(`UPDATE coatcheck.reconciliation_shard SET position = '' WHERE run_id = ?`, id).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("moving a reconciliation on: %w", err)
	}
	return nil
}

const (
	// keptRuns is how many runs are remembered.
	keptRuns = 100
	// keptRemoved is for how long it is remembered which strays were removed.
	keptRemoved = 90 * 24 * time.Hour
)

// EndRun implements [reconcile.Store]. Whoever works on the run loses its shards: giving a run up is how a mistake is
// stopped. It also forgets what is old.
func (s *Store) EndRun(ctx context.Context, run *reconcile.Run, outcome reconcile.Outcome, explanation string) (ended bool, _ error) {
	text, err := countsJSON(run.Counts)
	if err != nil {
		return false, err
	}
	now := s.time()
	err = s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		// The shards first, as whoever records something of one locks it before the run.
		if _, err := tx.NewRaw(`SELECT 1 FROM coatcheck.reconciliation_shard WHERE run_id = ? ORDER BY number FOR UPDATE`, run.ID).Exec(ctx); err != nil {
			return err
		}
		result, err := tx.NewRaw(`UPDATE coatcheck.reconciliation SET phase = 'done', outcome = ?, explanation = ?, counts = ?::jsonb,
			listed_at = coalesce(listed_at, CASE WHEN ? <> 'abandoned' THEN ?::timestamptz END), finished_at = ?
			WHERE id = ? AND phase = ?`, outcome, explanation, text, outcome, now, now, run.ID, run.Phase).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if ended = n > 0; err != nil || !ended {
			return err
		}
		if _, err := tx.NewRaw(`UPDATE coatcheck.reconciliation_shard SET lease = NULL WHERE run_id = ? AND lease IS NOT NULL`, run.ID).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewRaw(`DELETE FROM coatcheck.reconciliation WHERE id IN
			(SELECT id FROM coatcheck.reconciliation ORDER BY started_at DESC OFFSET ?)`, keptRuns).Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewRaw(`DELETE FROM coatcheck.stray WHERE removed_at < ?`, now.Add(-keptRemoved)).Exec(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("ending a reconciliation: %w", err)
	}
	return ended, nil
}
