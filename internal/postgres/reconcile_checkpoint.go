package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// Checkpoint implements [reconcile.Store]. Rows of media that somebody holds are passed over and not waited for: the next
// run finds what is left. What it does wait for, the records of strays, nobody holds who waits for a media, so that it
// takes part in no circle.
func (s *Store) Checkpoint(ctx context.Context, sh *reconcile.Shard, b reconcile.Batch) error {
	var (
		now   = s.time()
		done  reconcile.Recorded
		after = reconcile.Counts{}
		next  = sh.Phase
	)
	if b.Done {
		next = reconcile.ShardListed
	}
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := holdShard(ctx, tx, sh); err != nil {
			return err
		}
		done = reconcile.Recorded{}
		free, err := lockFree(ctx, tx, b)
		if err != nil {
			return err
		}
		var landings []media.Landing
		for _, l := range b.Landings {
			if free[l.MediaID] {
				landings = append(landings, l.Landing)
			}
		}
		if done.Landed, err = s.land(ctx, within(tx), now, media.SourceReconcile, landings); err != nil {
			return err
		}
		if done.Strays, err = recordStrays(ctx, tx, sh.RunID, now, b.Strays); err != nil {
			return err
		}
		if done.Missing, err = recordMissing(ctx, tx, sh.RunID, now, b.Missing, free); err != nil {
			return err
		}
		if err := keepRecords(ctx, tx, sh.RunID, b, done.Missing); err != nil {
			return err
		}
		if done.Adopted, err = recordAdopted(ctx, tx, now, b.Adopted); err != nil {
			return err
		}
		if b.Done {
			if err := forgetUnseen(ctx, tx, sh, now, b); err != nil {
				return err
			}
		}
		added, findings := b.Settle(done)
		if err := recordFindings(ctx, tx, sh.RunID, now, findings); err != nil {
			return err
		}
		after = reconcile.Counts{}
		after.Add(sh.Counts)
		after.Add(added)
		return saveShard(ctx, tx, sh, b.Position, after, next)
	})
	if err != nil {
		return fmt.Errorf("recording what was found: %w", err)
	}
	s.landed(media.SourceReconcile, done.Landed)
	s.metrics.entered(media.StateConfirmed, "", len(done.Adopted)) // nobody can be watching what there was not
	sh.Position, sh.Counts, sh.Phase = b.Position, after, next
	return nil
}

// lockFree locks the rows that the batch is about, but for those that somebody else holds, and returns which.
func lockFree(ctx context.Context, tx bun.Tx, b reconcile.Batch) (map[uuid.UUID]bool, error) {
	var ids []string
	for _, l := range b.Landings {
		ids = append(ids, l.MediaID.String())
	}
	for _, r := range b.Missing {
		ids = append(ids, r.ID.String())
	}
	free := map[uuid.UUID]bool{}
	if len(ids) == 0 {
		return free, nil
	}
	var locked []uuid.UUID
	err := tx.NewRaw(`SELECT id FROM coatcheck.media WHERE id = ANY (?ids::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED`,
		idArgs{IDs: ids}).Scan(ctx, &locked)
	for _, id := range locked {
		free[id] = true
	}
	return free, err
}

type idArgs struct {
	IDs []string `bun:"ids,array"`
}

// recordStraysSQL records sightings of strays, but for objects that a row explains by now. What is not as it was when it
// was seen before is another object, seen for the first time; but a removal of the one before may still reach it when it
// has the same ETag.
const recordStraysSQL = `
INSERT INTO coatcheck.stray AS s (key, size_bytes, etag, version_id, last_modified, ours, first_seen_at, first_run, last_seen_at, last_run)
SELECT o.key, o.size_bytes, o.etag, o.version_id, o.last_modified, o.ours, ?now, ?run, ?now, ?run
FROM unnest(?keys::text[], ?sizes::bigint[], ?etags::text[], ?version_ids::text[], ?last_modifieds::timestamptz[], ?ours::boolean[])
	AS o (key, size_bytes, etag, version_id, last_modified, ours)
WHERE NOT EXISTS (SELECT FROM coatcheck.media AS m WHERE m.key = o.key AND ` + explains + `)
ON CONFLICT (key) DO UPDATE SET
	first_seen_at = CASE WHEN ` + sameStray + ` THEN s.first_seen_at ELSE excluded.first_seen_at END,
	first_run     = CASE WHEN ` + sameStray + ` THEN s.first_run ELSE excluded.first_run END,
	attempts      = CASE WHEN ` + sameStray + ` THEN s.attempts ELSE 0 END,
	last_error    = CASE WHEN ` + sameStray + ` THEN s.last_error END,
	size_bytes = excluded.size_bytes, etag = excluded.etag, version_id = excluded.version_id,
	last_modified = excluded.last_modified, ours = excluded.ours, last_seen_at = excluded.last_seen_at, last_run = excluded.last_run,
	deleting_at   = CASE WHEN ` + sameStray + ` OR s.etag = excluded.etag AND s.deleting_at > ?since THEN s.deleting_at END,
	removed_at = NULL, removed_to = NULL
RETURNING s.key`

// explains is true of a row, m, that explains the object under its key: of all but the tombstone of a key that was not
// minted, after which others may have used it again.
const explains = `NOT (m.state = 'deleted' AND right(m.key, 37) <> '/' || m.id)`

const sameStray = `s.removed_at IS NULL AND (s.size_bytes, s.etag, s.version_id, s.last_modified)
	= (excluded.size_bytes, excluded.etag, excluded.version_id, excluded.last_modified)`

type strayArgs struct {
	Run           uuid.UUID   `bun:"run"`
	Now           time.Time   `bun:"now"`
	Since         time.Time   `bun:"since"`
	Keys          []string    `bun:"keys,array"`
	Sizes         []int64     `bun:"sizes,array"`
	ETags         []string    `bun:"etags,array"`
	VersionIDs    []string    `bun:"version_ids,array"`
	LastModifieds []time.Time `bun:"last_modifieds,array"`
	Ours          []bool      `bun:"ours,array"`
}

func strayRows(strays []reconcile.Stray, run uuid.UUID, now time.Time) strayArgs {
	args := strayArgs{Run: run, Now: now, Since: now.Add(-removalReach)}
	for _, o := range strays {
		args.Keys = append(args.Keys, o.Key)
		args.Sizes = append(args.Sizes, o.SizeBytes)
		args.ETags = append(args.ETags, o.ETag)
		args.VersionIDs = append(args.VersionIDs, o.VersionID)
		args.LastModifieds = append(args.LastModifieds, o.LastModified.UTC())
		args.Ours = append(args.Ours, o.Ours)
	}
	return args
}

// recordStrays returns the keys of those that are strays indeed. A key that Postgres cannot hold counts as one; there is
// no record of it, so that it is never removed.
func recordStrays(ctx context.Context, tx bun.Tx, run uuid.UUID, now time.Time, strays []reconcile.Stray) (map[string]bool, error) {
	recorded := make(map[string]bool, len(strays))
	var able []reconcile.Stray
	for _, o := range strays {
		if storable(o.Key) && storable(o.ETag) && storable(o.VersionID) {
			able = append(able, o)
		} else {
			recorded[o.Key] = true
		}
	}
	if len(able) == 0 {
		return recorded, nil
	}
	slices.SortFunc(able, func(a, b reconcile.Stray) int { return strings.Compare(a.Key, b.Key) })
	var keys []string
	if err := tx.NewRaw(recordStraysSQL, strayRows(able, run, now)).Scan(ctx, &keys); err != nil {
		return nil, fmt.Errorf("strays: %w", err)
	}
	for _, k := range keys {
		recorded[k] = true
	}
	return recorded, nil
}

// recordMissing records rows that were not changed since they were read: they have landed, S3 was asked for their objects
// after that, and nobody has begun to delete them.
func recordMissing(ctx context.Context, tx bun.Tx, run uuid.UUID, now time.Time, rows []reconcile.Row, free map[uuid.UUID]bool) (map[uuid.UUID]bool, error) {
	args := struct {
		idArgs
		Revisions []int64   `bun:"revisions,array"`
		Now       time.Time `bun:"now"`
		Run       uuid.UUID `bun:"run"`
	}{Now: now, Run: run}
	for _, r := range rows {
		if free[r.ID] {
			args.IDs = append(args.IDs, r.ID.String())
			args.Revisions = append(args.Revisions, r.Revision)
		}
	}
	recorded := map[uuid.UUID]bool{}
	if len(args.IDs) == 0 {
		return recorded, nil
	}
	var ids []uuid.UUID
	err := tx.NewRaw(`
		INSERT INTO coatcheck.missing AS x (media_id, key, first_seen_at, first_run, last_seen_at, last_run)
		SELECT m.id, m.key, ?now, ?run, ?now, ?run
		FROM coatcheck.media AS m JOIN unnest(?ids::uuid[], ?revisions::bigint[]) AS r (id, revision) ON m.id = r.id AND m.revision = r.revision
		WHERE m.state IN ('uploaded', 'confirmed')
		ON CONFLICT (media_id) DO UPDATE SET last_seen_at = excluded.last_seen_at, last_run = excluded.last_run
		RETURNING x.media_id`, args).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("missing objects: %w", err)
	}
	for _, id := range ids {
		recorded[id] = true
	}
	return recorded, nil
}

// keepRecords keeps what is recorded of keys that S3 could not be asked for, and of rows that somebody held or has changed,
// from being forgotten: that they could not be looked at says nothing of them. The run has not seen such a stray, nor has
// its breaker counted it, and it removes only what it has seen (R8).
func keepRecords(ctx context.Context, tx bun.Tx, run uuid.UUID, b reconcile.Batch, missing map[uuid.UUID]bool) error {
	args := struct {
		idArgs
		Keys []string  `bun:"keys,array"`
		Run  uuid.UUID `bun:"run"`
	}{Run: run}
	for _, u := range b.Untold {
		switch {
		case u.MediaID != (uuid.UUID{}):
			args.IDs = append(args.IDs, u.MediaID.String())
		case storable(u.Key):
			args.Keys = append(args.Keys, u.Key)
		}
	}
	for _, r := range b.Missing {
		if !missing[r.ID] {
			args.IDs = append(args.IDs, r.ID.String())
		}
	}
	if len(args.IDs) > 0 {
		if _, err := tx.NewRaw(`UPDATE coatcheck.missing SET last_run = ?run WHERE media_id = ANY (?ids::uuid[])`, args).Exec(ctx); err != nil {
			return fmt.Errorf("missing objects: %w", err)
		}
	}
	if len(args.Keys) > 0 {
		if _, err := tx.NewRaw(`UPDATE coatcheck.stray SET kept_run = ?run WHERE key = ANY (?keys::text[]) AND removed_at IS NULL`, args).Exec(ctx); err != nil {
			return fmt.Errorf("strays: %w", err)
		}
	}
	return nil
}

// forgetUnseen ends the records of a shard that its listing has not seen again: the strays are gone, by a removal that did
// not live to say so or by somebody else, and the missing are there again, or not wanted any more. An inventory says
// nothing of what was seen after its scan began.
func forgetUnseen(ctx context.Context, tx bun.Tx, sh *reconcile.Shard, now time.Time, b reconcile.Batch) error {
	sourceAt := b.SourceAt
	if sourceAt.IsZero() {
		sourceAt = now
	}
	from, after, until := sh.Bounds()
	args := struct {
		Run   uuid.UUID `bun:"run"`
		Now   time.Time `bun:"now"`
		Seen  time.Time `bun:"seen"`
		From  string    `bun:"from"`
		After string    `bun:"after"`
		Until string    `bun:"until"`
	}{sh.RunID, now, sourceAt.UTC(), from, after, until}
	const unseen = ` key >= ?from AND key > ?after AND key <= ?until AND last_run <> ?run AND last_seen_at <= ?seen `
	queries := []string{`DELETE FROM coatcheck.missing WHERE` + unseen}
	if !b.Trial {
		const unseen = unseen + `AND kept_run IS DISTINCT FROM ?run AND removed_at IS NULL `
		queries = append(queries,
			`UPDATE coatcheck.stray SET removed_at = ?now WHERE`+unseen+`AND deleting_at IS NOT NULL`,
			`DELETE FROM coatcheck.stray WHERE`+unseen)
	}
	for _, query := range queries {
		if _, err := tx.NewRaw(query, args).Exec(ctx); err != nil {
			return fmt.Errorf("records that were not seen again: %w", err)
		}
	}
	return nil
}

func recordFindings(ctx context.Context, tx bun.Tx, run uuid.UUID, now time.Time, findings []reconcile.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	rows := make([]findingRow, len(findings))
	for i, f := range findings {
		rows[i] = findingRow{RunID: run, Kind: f.Kind, Key: text(f.Key), Detail: text(f.Detail), FoundAt: now}
		if f.MediaID != (uuid.UUID{}) {
			rows[i].MediaID = &f.MediaID
		}
		if f.SizeBytes >= 0 {
			rows[i].SizeBytes = &f.SizeBytes
		}
	}
	_, err := tx.NewInsert().Model(&rows).ExcludeColumn("id").Exec(ctx)
	if err != nil {
		return fmt.Errorf("findings: %w", err)
	}
	return nil
}

// text makes a text that is shown to people storable.
func text(s string) string {
	if storable(s) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// findingRow is coatcheck.reconciliation_finding.
type findingRow struct {
	bun.BaseModel `bun:"table:coatcheck.reconciliation_finding,alias:f"`

	RunID     uuid.UUID      `bun:"run_id,type:uuid"`
	ID        int64          `bun:"id"`
	Kind      reconcile.Kind `bun:"kind"`
	Key       string         `bun:"key"`
	MediaID   *uuid.UUID     `bun:"media_id,type:uuid"`
	SizeBytes *int64         `bun:"size_bytes"`
	Detail    string         `bun:"detail"`
	FoundAt   time.Time      `bun:"found_at"`
}
