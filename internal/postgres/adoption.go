package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// StageAdoption replaces the list of what is in use below a prefix, in one transaction, brings the prefix under management
// unless it is a trial, and returns how many entries there are. It is [reconcile.ErrActive] while a run is under way,
// which may be using the list. A key that occurs twice is an error.
func (s *Store) StageAdoption(ctx context.Context, prefix string, trial bool, list iter.Seq2[reconcile.Adoption, error]) (n int64, err error) {
	err = s.withPgx(ctx, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// A run is begun by an insert, which waits for this.
			if _, err := tx.Exec(ctx, `LOCK TABLE coatcheck.reconciliation IN SHARE MODE`); err != nil {
				return err
			}
			var active bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM coatcheck.reconciliation WHERE phase <> 'done')`).Scan(&active); err != nil {
				return err
			}
			if active {
				return reconcile.ErrActive
			}
			// What is left of other prefixes' lists keeps what it names from being removed.
			if _, err := tx.Exec(ctx, `DELETE FROM coatcheck.adoption WHERE starts_with(key, $1)`, prefix); err != nil {
				return err
			}
			if !trial {
				if _, err := tx.Exec(ctx, `INSERT INTO coatcheck.adopted_prefix (prefix, adopted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
					prefix, s.time()); err != nil {
					return err
				}
			}
			source := &adoptionRows{}
			next, stop := iter.Pull2(list)
			defer stop()
			source.pull = next
			var err error
			n, err = tx.CopyFrom(ctx, pgx.Identifier{"coatcheck", "adoption"}, []string{"key", "claim", "tenant", "owner"}, source)
			return errors.Join(source.err, err)
		})
	})
	switch {
	case errors.Is(err, reconcile.ErrActive):
		return 0, err
	case sqlState(err) == "23505":
		return 0, fmt.Errorf("staging an adoption: a key occurs twice in the list: %w", err)
	case err != nil:
		return 0, unusable(fmt.Errorf("staging an adoption: %w", err))
	}
	return n, nil
}

// adoptionRows feeds COPY.
type adoptionRows struct {
	pull  func() (reconcile.Adoption, error, bool)
	entry reconcile.Adoption
	err   error
}

// Next implements [pgx.CopyFromSource].
func (a *adoptionRows) Next() bool {
	entry, err, ok := a.pull()
	a.entry = entry
	if ok && err == nil && !storable(entry.Key+entry.Claim+entry.Tenant+entry.Owner) {
		err = fmt.Errorf("key %.200q: it, its claim, tenant and owner must be UTF-8 without NUL", entry.Key)
	}
	a.err = err
	return ok && err == nil
}

// Values implements [pgx.CopyFromSource].
func (a *adoptionRows) Values() ([]any, error) {
	return []any{a.entry.Key, a.entry.Claim, a.entry.Tenant, a.entry.Owner}, nil
}

// Err implements [pgx.CopyFromSource].
func (a *adoptionRows) Err() error { return a.err }

// Adoptions implements [reconcile.Store].
func (s *Store) Adoptions(ctx context.Context, keys []string) (map[string]reconcile.Adoption, error) {
	var args struct {
		Keys []string `bun:"keys,array"`
	}
	for _, k := range keys {
		if storable(k) {
			args.Keys = append(args.Keys, k)
		}
	}
	found := map[string]reconcile.Adoption{}
	if len(args.Keys) == 0 {
		return found, nil
	}
	var rows []reconcile.Adoption
	err := s.db.NewRaw(`SELECT key, claim, tenant, owner FROM coatcheck.adoption WHERE key = ANY (?keys::text[])`, args).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("reading the list of an adoption: %w", err)
	}
	for _, a := range rows {
		found[a.Key] = a
	}
	return found, nil
}

// CloseAdoption implements [reconcile.Store]. What the list claims and a row holds by the same claim is adopted already.
// Entries of which there is no row are kept, until another list takes their place: if it is only that S3 could not be
// asked, the object is in use all the same, and no stray.
//
// Several processes may do it, and one of them again: what was found before is not found twice. When the run has ended the
// list may be another's.
func (s *Store) CloseAdoption(ctx context.Context, run uuid.UUID) error {
	now := s.time()
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		var one int
		err := tx.NewRaw(`SELECT 1 FROM coatcheck.reconciliation WHERE id = ? AND phase <> 'done' FOR NO KEY UPDATE`, run).Scan(ctx, &one)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.NewRaw(`
			INSERT INTO coatcheck.reconciliation_finding (run_id, kind, key, media_id, size_bytes, detail, found_at)
			SELECT r.id, 'not_adopted', a.key, m.id, m.size_bytes, CASE
				WHEN m.id IS NULL AND EXISTS (SELECT FROM coatcheck.reconciliation_finding AS f WHERE f.run_id = r.id AND f.kind = 'unclear' AND f.key = a.key)
					THEN format('the list says that %s uses it, and S3 could not be asked for it: adopt it again', a.claim)
				WHEN m.id IS NULL AND EXISTS (SELECT FROM coatcheck.stray AS s WHERE s.key = a.key AND s.removed_at IS NULL)
					THEN format('the list says that %s uses it, and its removal as a stray had begun: adopt it again after an hour', a.claim)
				WHEN m.id IS NULL AND EXISTS (SELECT FROM coatcheck.stray AS s WHERE s.key = a.key AND s.deleting_at > ?since)
					THEN format('the list says that %s uses it, and it was removed as a stray within the last hour: if it is there again, adopt it after an hour', a.claim)
				WHEN m.id IS NULL THEN format('the list says that %s uses it, and there is no such object', a.claim)
				WHEN m.state = 'confirmed' THEN format('the list says that %s uses it, and another claim holds it', a.claim)
				WHEN NOT (`+explains+`)
					THEN format('the list says that %s uses it, and it was released: if it is there again, adopt it after an hour', a.claim)
				ELSE format('the list says that %s uses it, and it is %s: confirm it by the API', a.claim, m.state)
			END, ?now
			FROM coatcheck.reconciliation AS r JOIN coatcheck.adoption AS a ON starts_with(a.key, r.adopt_prefix)
				LEFT JOIN coatcheck.media AS m ON m.key = a.key
			WHERE r.id = ?run AND (m.id IS NULL OR m.state <> 'confirmed' OR m.claim <> a.claim)
				AND NOT EXISTS (SELECT FROM coatcheck.reconciliation_finding AS f WHERE f.run_id = r.id AND f.kind = 'not_adopted' AND f.key = a.key)
			ORDER BY a.key`, struct {
			Now   time.Time `bun:"now"`
			Since time.Time `bun:"since"`
			Run   uuid.UUID `bun:"run"`
		}{now, now.Add(-removalReach), run}).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewRaw(`DELETE FROM coatcheck.adoption AS a WHERE EXISTS (SELECT FROM coatcheck.media AS m WHERE m.key = a.key AND ` + explains + `)`).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("closing an adoption: %w", err)
	}
	return nil
}

// removalReach is how long after its intent was recorded a removal may still reach S3, from a process that was suspended in
// the middle: S3 refuses what was signed more than 15 minutes ago. That another process has done the same meanwhile, and
// recorded that it is done, does not call the first one back.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
const removalReach = time.Hour

// recordAdopted makes rows of objects that were there before, but for those that have one by now, and those that a removal
// or a sweep of late may still delete (R1), and takes them off the adoption's list. Both delete by ETag under keys that
// were not minted. Under one that was, its tombstone explains the object, so that it is not adopted at all.
func recordAdopted(ctx context.Context, tx bun.Tx, now time.Time, ms []*media.Media) (map[string]bool, error) {
	adopted := map[string]bool{}
	if len(ms) == 0 {
		return adopted, nil
	}
	var args struct {
		Keys  []string  `bun:"keys,array"`
		ETags []string  `bun:"etags,array"`
		Since time.Time `bun:"since"`
	}
	args.Since = now.Add(-removalReach)
	for _, m := range ms {
		args.Keys, args.ETags = append(args.Keys, m.Key), append(args.ETags, m.ETag)
	}
	// A removal that is under way holds the stray's row, or has marked it; one that comes later finds the new row.
	var going []string
	if err := tx.NewRaw(`SELECT s.key FROM coatcheck.stray AS s JOIN unnest(?keys::text[], ?etags::text[]) AS o (key, etag) ON o.key = s.key
		WHERE s.deleting_at > ?since AND (s.removed_at IS NULL OR s.etag = o.etag)
		ORDER BY s.key FOR UPDATE OF s`, args).Scan(ctx, &going); err != nil {
		return nil, fmt.Errorf("adoptions: %w", err)
	}
	var rows []*row
	for _, m := range ms {
		if slices.Contains(going, m.Key) {
			continue
		}
		r := fromMedia(m)
		r.Revision = 1
		if e := r.check(); e != nil {
			return nil, e
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return adopted, nil
	}
	slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.Key, b.Key) })
	// A tombstone that is left keeps the insert from making a row.
	if _, err := tx.NewRaw(`DELETE FROM coatcheck.media AS m USING unnest(?keys::text[], ?etags::text[]) AS o (key, etag)
		WHERE m.key = o.key AND NOT (`+explains+`) AND (m.deleted_at <= ?since OR m.etag IS DISTINCT FROM o.etag)`, args).Exec(ctx); err != nil {
		return nil, fmt.Errorf("adoptions: %w", err)
	}
	var keys []string
	if err := tx.NewInsert().Model(&rows).On("CONFLICT DO NOTHING").Returning("m.key").Scan(ctx, &keys); err != nil {
		return nil, fmt.Errorf("adoptions: %w", err)
	}
	args.Keys = keys
	for _, k := range keys {
		adopted[k] = true
	}
	for _, from := range []string{"stray", "adoption"} {
		if _, err := tx.NewRaw(`DELETE FROM coatcheck.`+from+` WHERE key = ANY (?keys::text[])`, args).Exec(ctx); err != nil {
			return nil, fmt.Errorf("adoptions: %w", err)
		}
	}
	return adopted, nil
}
