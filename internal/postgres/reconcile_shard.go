package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// LeaseShard implements [reconcile.Store].
func (s *Store) LeaseShard(ctx context.Context, run uuid.UUID, phase reconcile.ShardPhase, lease time.Duration) (*reconcile.Shard, error) {
	token, err := uuid.NewRandom()
	if err != nil {
		return nil, err
	}
	now := s.time()
	var r struct {
		Number               int
		Prefix, After, Until string
		Position             []byte
		Counts               counts
	}
	err = s.db.NewRaw(`
		WITH free AS MATERIALIZED (
			SELECT run_id, number FROM coatcheck.reconciliation_shard
			WHERE run_id = ?run AND phase = ?phase AND EXISTS (SELECT FROM coatcheck.reconciliation AS r WHERE r.id = ?run AND r.phase <> 'done')
				AND (leased_until IS NULL OR leased_until <= ?now)
			ORDER BY number LIMIT 1
			FOR UPDATE SKIP LOCKED
		)
		UPDATE coatcheck.reconciliation_shard AS s
		SET lease = ?token, leased_until = ?until
		FROM free WHERE s.run_id = free.run_id AND s.number = free.number
		RETURNING s.number, s.prefix, s.after, s.until, s.position, s.counts`, struct {
		Run   uuid.UUID            `bun:"run"`
		Phase reconcile.ShardPhase `bun:"phase"`
		Now   time.Time            `bun:"now"`
		Token uuid.UUID            `bun:"token"`
		Until time.Time            `bun:"until"`
	}{run, phase, now, token, now.Add(lease)}).Scan(ctx, &r)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("leasing a shard: %w", err)
	}
	return &reconcile.Shard{
		RunID: run, Number: r.Number, Range: reconcile.Range{Prefix: r.Prefix, After: r.After, Until: r.Until},
		Position: string(r.Position), Phase: phase, Lease: token, Counts: reconcile.Counts(r.Counts),
	}, nil
}

// ExtendLease implements [reconcile.Store].
func (s *Store) ExtendLease(ctx context.Context, sh *reconcile.Shard, lease time.Duration) error {
	return s.leaseUntil(ctx, sh, s.time().Add(lease))
}

// ReleaseShard implements [reconcile.Store].
func (s *Store) ReleaseShard(ctx context.Context, sh *reconcile.Shard) error {
	return s.leaseUntil(ctx, sh, s.time())
}

func (s *Store) leaseUntil(ctx context.Context, sh *reconcile.Shard, until time.Time) error {
	result, err := s.db.NewRaw(`UPDATE coatcheck.reconciliation_shard SET leased_until = ? WHERE run_id = ? AND number = ? AND lease = ?`,
		until, sh.RunID, sh.Number, sh.Lease).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keeping the lease of a shard: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, reconcile.ErrLeaseLost)
	}
	return nil
}

// holdShard locks a shard's row for the transaction, and is [reconcile.ErrLeaseLost] when another process has it.
func holdShard(ctx context.Context, tx bun.Tx, sh *reconcile.Shard) error {
	var one int
	err := tx.NewRaw(`SELECT 1 FROM coatcheck.reconciliation_shard WHERE run_id = ? AND number = ? AND lease = ? AND phase = ? FOR UPDATE`,
		sh.RunID, sh.Number, sh.Lease, sh.Phase).Scan(ctx, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return reconcile.ErrLeaseLost
	}
	return err
}

// saveShard writes how far a shard has got, in the transaction that holds it. next is its phase when that is done, and
// its lease ends then. What was taken of the run's delete budget for it has been used by now, or is given back by the same
// transaction.
func saveShard(ctx context.Context, tx bun.Tx, sh *reconcile.Shard, position string, c reconcile.Counts, next reconcile.ShardPhase) error {
	text, err := countsJSON(c)
	if err != nil {
		return err
	}
	done := next != sh.Phase
	_, err = tx.NewRaw(`UPDATE coatcheck.reconciliation_shard SET position = ?, counts = ?::jsonb, phase = ?, budget_taken = 0,
		lease = CASE WHEN ? THEN NULL ELSE lease END, leased_until = CASE WHEN ? THEN NULL ELSE leased_until END
		WHERE run_id = ? AND number = ?`, []byte(position), text, next, done, done, sh.RunID, sh.Number).Exec(ctx)
	return err
}
