package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// strayRow is coatcheck.stray.
type strayRow struct {
	bun.BaseModel `bun:"table:coatcheck.stray,alias:s"`

	Key          string    `bun:"key,pk"`
	SizeBytes    int64     `bun:"size_bytes"`
	ETag         string    `bun:"etag"`
	VersionID    string    `bun:"version_id"`
	LastModified time.Time `bun:"last_modified"`
	Ours         bool      `bun:"ours"`
	FirstSeenAt  time.Time `bun:"first_seen_at"`
	FirstRun     uuid.UUID `bun:"first_run,type:uuid"`
	LastSeenAt   time.Time `bun:"last_seen_at"`
	LastRun      uuid.UUID `bun:"last_run,type:uuid"`
	DeletingAt   time.Time `bun:"deleting_at,nullzero"`
	RemovedAt    time.Time `bun:"removed_at,nullzero"`
	RemovedTo    string    `bun:"removed_to,nullzero"`
	Attempts     int       `bun:"attempts"`
	LastError    string    `bun:"last_error,nullzero"`
}

func (r *strayRow) stray() reconcile.Stray {
	return reconcile.Stray{
		Key: r.Key, SizeBytes: r.SizeBytes, ETag: r.ETag, VersionID: r.VersionID, LastModified: r.LastModified, Ours: r.Ours,
		FirstSeenAt: r.FirstSeenAt, FirstRun: r.FirstRun, LastSeenAt: r.LastSeenAt, LastRun: r.LastRun, DeletingAt: r.DeletingAt,
		RemovedAt: r.RemovedAt, RemovedTo: r.RemovedTo, Attempts: r.Attempts, LastError: r.LastError,
	}
}

func allStrays(rows []strayRow) []reconcile.Stray {
	all := make([]reconcile.Stray, len(rows))
	for i := range rows {
		all[i] = rows[i].stray()
	}
	return all
}

// SeenStrays implements [reconcile.Store].
func (s *Store) SeenStrays(ctx context.Context, run uuid.UUID, r reconcile.Range, after string, limit int) ([]reconcile.Stray, error) {
	from, above, until := r.Bounds()
	var rows []strayRow
	err := s.db.NewSelect().Model(&rows).
		Where("s.key >= ? AND s.key > ? AND s.key <= ? AND s.last_run = ? AND s.removed_at IS NULL", from, max(above, after), until, run).
		OrderExpr("s.key").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading strays: %w", err)
	}
	return allStrays(rows), nil
}

// TakeBudget implements [reconcile.Store]. What was taken for the shard before, and neither used nor given back, since
// whoever took it failed, was stopped or was killed, was for the same strays: it is given back first.
func (s *Store) TakeBudget(ctx context.Context, sh *reconcile.Shard, n int) (int, error) {
	var taken int
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := holdShard(ctx, tx, sh); err != nil { // also when the run was given up
			return err
		}
		var before int
		err := tx.NewRaw(`SELECT budget_taken FROM coatcheck.reconciliation_shard WHERE run_id = ? AND number = ?`, sh.RunID, sh.Number).Scan(ctx, &before)
		if err != nil {
			return err
		}
		err = tx.NewRaw(`
			WITH was AS MATERIALIZED (SELECT id, least(delete_budget, budget_left + ?before) AS budget FROM coatcheck.reconciliation WHERE id = ?run FOR UPDATE)
			UPDATE coatcheck.reconciliation AS r SET budget_left = was.budget - least(was.budget, ?n)
			FROM was WHERE r.id = was.id
			RETURNING least(was.budget, ?n)`, struct {
			Before int       `bun:"before"`
			N      int       `bun:"n"`
			Run    uuid.UUID `bun:"run"`
		}{before, n, sh.RunID}).Scan(ctx, &taken)
		if err != nil {
			return err
		}
		_, err = tx.NewRaw(`UPDATE coatcheck.reconciliation_shard SET budget_taken = ? WHERE run_id = ? AND number = ?`,
			taken, sh.RunID, sh.Number).Exec(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("taking from the delete budget: %w", err)
	}
	return taken, nil
}

// BeginRemoval implements [reconcile.Store]. What the list of an adoption says is in use, and was not adopted for whatever
// reason, is not removed. An adoption of the same key either has made its row, which this statement sees, or waits for this
// one and then finds the intent. Nor is anything removed by whoever has lost the shard: giving a run up stops it here.
func (s *Store) BeginRemoval(ctx context.Context, sh *reconcile.Shard, strays []reconcile.Stray) (map[string]bool, error) {
	if len(strays) == 0 {
		return nil, nil
	}
	now := s.time()
	var keys []string
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := holdShard(ctx, tx, sh); err != nil {
			return err
		}
		var held []string
		args := strayRows(strays, uuid.UUID{}, now)
		if err := tx.NewRaw(`SELECT key FROM coatcheck.stray WHERE key = ANY (?keys::text[]) ORDER BY key FOR UPDATE`, args).Scan(ctx, &held); err != nil {
			return err
		}
		// In a statement of its own, which sees what was committed while the rows were waited for.
		return tx.NewRaw(`
			UPDATE coatcheck.stray AS s SET deleting_at = ?now, attempts = s.attempts + 1
			FROM unnest(?keys::text[], ?sizes::bigint[], ?etags::text[], ?version_ids::text[], ?last_modifieds::timestamptz[])
				AS o (key, size_bytes, etag, version_id, last_modified)
			WHERE s.key = o.key AND s.ours AND s.removed_at IS NULL
				AND (s.size_bytes, s.etag, s.version_id, s.last_modified) = (o.size_bytes, o.etag, o.version_id, o.last_modified)
				AND NOT EXISTS (SELECT FROM coatcheck.media AS m WHERE m.key = s.key AND `+explains+`)
				AND NOT EXISTS (SELECT FROM coatcheck.adoption AS a WHERE a.key = s.key)
			RETURNING s.key`, args).Scan(ctx, &keys)
	})
	if err != nil {
		return nil, fmt.Errorf("beginning to remove strays: %w", err)
	}
	may := make(map[string]bool, len(keys))
	for _, k := range keys {
		may[k] = true
	}
	return may, nil
}

// EndRemoval implements [reconcile.Store].
func (s *Store) EndRemoval(ctx context.Context, sh *reconcile.Shard, r reconcile.Removal) error {
	now, next := s.time(), sh.Phase
	if r.Done {
		next = reconcile.ShardRemoved
	}
	var args struct {
		Now     time.Time `bun:"now"`
		Removed []string  `bun:"removed,array"`
		To      []string  `bun:"to,array"`
		Failed  []string  `bun:"failed,array"`
		Errors  []string  `bun:"errors,array"`
	}
	args.Now = now
	for _, o := range r.Removed {
		args.Removed, args.To = append(args.Removed, o.Key), append(args.To, o.RemovedTo)
	}
	for _, o := range r.Failed {
		args.Failed, args.Errors = append(args.Failed, o.Key), append(args.Errors, o.LastError)
	}
	after := reconcile.Counts{}
	after.Add(sh.Counts)
	after.Add(r.Counts)
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := holdShard(ctx, tx, sh); err != nil {
			return err
		}
		if len(r.Removed) > 0 {
			if _, err := tx.NewRaw(`UPDATE coatcheck.stray AS s SET removed_at = ?now, removed_to = nullif(o.target, ''), last_error = NULL
				FROM unnest(?removed::text[], ?to::text[]) AS o (key, target) WHERE s.key = o.key`, args).Exec(ctx); err != nil {
				return err
			}
		}
		if len(r.Failed) > 0 {
			if _, err := tx.NewRaw(`UPDATE coatcheck.stray AS s SET last_error = o.error
				FROM unnest(?failed::text[], ?errors::text[]) AS o (key, error) WHERE s.key = o.key`, args).Exec(ctx); err != nil {
				return err
			}
		}
		if r.Unused > 0 {
			if _, err := tx.NewRaw(`UPDATE coatcheck.reconciliation SET budget_left = least(delete_budget, budget_left + ?) WHERE id = ?`,
				r.Unused, sh.RunID).Exec(ctx); err != nil {
				return err
			}
		}
		if err := recordFindings(ctx, tx, sh.RunID, now, r.Findings); err != nil {
			return err
		}
		return saveShard(ctx, tx, sh, r.Position, after, next)
	})
	if err != nil {
		return fmt.Errorf("recording removals: %w", err)
	}
	sh.Position, sh.Counts, sh.Phase = r.Position, after, next
	return nil
}
