package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/overview"
)

// countLock is held by whoever counts, so that two processes do not at the same time.
const countLock = 0x636f6175

// Counts implements [overview.Store].
func (s *Store) Counts(ctx context.Context) (*overview.Counts, error) { return readCounts(ctx, s.db) }

func readCounts(ctx context.Context, db bun.IDB) (*overview.Counts, error) {
	var stored struct {
		CountedAt   time.Time
		TookSeconds float64
		Counts      []byte
	}
	err := db.NewRaw(`SELECT counted_at, took_seconds, counts FROM coatcheck.overview`).Scan(ctx, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	counts := new(overview.Counts)
	if err == nil {
		err = json.Unmarshal(stored.Counts, counts)
	}
	if err != nil {
		return nil, unusable(fmt.Errorf("reading what was counted: %w", err))
	}
	counts.CountedAt, counts.Took = stored.CountedAt, time.Duration(stored.TookSeconds*float64(time.Second))
	return counts, nil
}

// Count implements [overview.Store]. Its transaction holds no lock but the one of those who count.
func (s *Store) Count(ctx context.Context) error {
	err := s.db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		var mine bool
		if err := tx.NewRaw(`SELECT pg_try_advisory_xact_lock(?)`, countLock).Scan(ctx, &mine); err != nil || !mine {
			return err
		}
		last, err := readCounts(ctx, tx)
		if err != nil || !overview.Due(last, s.time()) {
			return err
		}
		counts, err := countMedia(ctx, tx, s.time())
		if err != nil {
			return err
		}
		text, err := json.Marshal(counts)
		if err != nil {
			return err
		}
		_, err = tx.NewRaw(`INSERT INTO coatcheck.overview (counted_at, took_seconds, counts) VALUES (?, ?, ?::jsonb)
			ON CONFLICT (only_row) DO UPDATE SET counted_at = excluded.counted_at, took_seconds = excluded.took_seconds, counts = excluded.counts`,
			counts.CountedAt, counts.Took.Seconds(), string(text)).Exec(ctx)
		return err
	})
	if err != nil {
		return unusable(fmt.Errorf("counting media: %w", err))
	}
	return nil
}

// countSQL counts all media, in one scan.
const countSQL = `
SELECT m.state, coalesce(m.reason, '') AS reason,
	CASE WHEN m.created_at > ?hour THEN 1 WHEN m.created_at > ?day THEN 2 WHEN m.created_at > ?week THEN 3 WHEN m.created_at > ?month THEN 4 ELSE 5 END AS age,
	count(*) AS media, sum(m.size_bytes)::bigint AS bytes
FROM coatcheck.media AS m
GROUP BY 1, 2, 3`

// countPresignedSQL counts what was presigned in the last week, which is not what was adopted. Their ids are in the order of
// time, but for the clocks of those who made them, and so are found by them. How long a landing took is told as the
// logarithm of its seconds, in twentieths: two that are told as one differ by 5 % at most.
const countPresignedSQL = `
SELECT coalesce(m.reason, '') AS reason, date_trunc('hour', m.created_at) AS hour, coalesce(m.landed_by, '') AS source,
	m.landed_by <> 'notification' AND m.sequencer IS NULL AS unnotified, m.confirmed_at IS NOT NULL AS confirmed,
	CASE WHEN m.landed_at > ?hour AND m.landed_by = 'notification' THEN
		ceil(20 * ln(greatest(extract(epoch FROM m.landed_at - m.created_at)::float8, 0.001)))::integer
	END AS took,
	count(*) AS media
FROM coatcheck.media AS m
WHERE m.id >= ?first AND m.created_at > ?week AND right(m.key, 37) = '/' || m.id
GROUP BY 1, 2, 3, 4, 5, 6`

type countArgs struct {
	Hour  time.Time `bun:"hour"`
	Day   time.Time `bun:"day"`
	Week  time.Time `bun:"week"`
	Month time.Time `bun:"month"`
	First uuid.UUID `bun:"first"`
}

type presignedRow struct {
	Reason     media.Reason
	Hour       time.Time
	Source     media.Source
	Unnotified sql.NullBool
	Confirmed  bool
	Took       sql.NullInt64
	Media      int64
}

func countMedia(ctx context.Context, db bun.IDB, now time.Time) (*overview.Counts, error) {
	const day = 24 * time.Hour
	began := time.Now()
	args := countArgs{now.Add(-time.Hour), now.Add(-day), now.Add(-7 * day), now.Add(-30 * day), firstID(now.Add(-8 * day))}
	counts := &overview.Counts{CountedAt: now}
	if err := db.NewRaw(countSQL, args).Scan(ctx, &counts.Media); err != nil {
		return nil, err
	}
	slices.SortFunc(counts.Media, func(a, b overview.MediaCount) int {
		return cmp.Or(cmp.Compare(slices.Index(media.States, a.State), slices.Index(media.States, b.State)), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Age, b.Age))
	})
	var presigned []presignedRow
	if err := db.NewRaw(countPresignedSQL, args).Scan(ctx, &presigned); err != nil {
		return nil, err
	}
	addUp(presigned, counts)
	counts.Took = time.Since(began)
	return counts, nil
}

// firstID is the least id that could have been made at a time or after it.
func firstID(at time.Time) (id uuid.UUID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

// addUp makes the funnel and what there is of landings out of the groups that were read.
func addUp(presigned []presignedRow, counts *overview.Counts) {
	var (
		hours    = map[time.Time]*overview.FunnelHour{}
		landings = map[media.Source]*overview.LandingCount{}
		took     = map[int64]int64{}
	)
	for _, r := range presigned {
		h := of(hours, r.Hour.UTC())
		h.Start = r.Hour.UTC()
		h.Presigned += r.Media
		if r.Confirmed {
			h.Confirmed += r.Media
		}
		if r.Reason == media.ReasonNeverUploaded {
			h.NeverUploaded += r.Media
		}
		if r.Source == "" {
			continue
		}
		h.Landed += r.Media
		if r.Reason == media.ReasonUnclaimed {
			h.Unclaimed += r.Media
		}
		if r.Took.Valid {
			took[r.Took.Int64] += r.Media
		}
		l := of(landings, r.Source)
		l.Source = r.Source
		l.Media += r.Media
		if r.Unnotified.Bool {
			l.Unnotified += r.Media
		}
	}
	counts.Funnel = sorted(hours, func(a, b overview.FunnelHour) int { return a.Start.Compare(b.Start) })
	counts.Landings = sorted(landings, func(a, b overview.LandingCount) int {
		return cmp.Compare(slices.Index(media.Sources, a.Source), slices.Index(media.Sources, b.Source))
	})
	counts.LandingP50, counts.LandingP99 = landingQuantile(took, 0.5), landingQuantile(took, 0.99)
}

func of[K comparable, V any](all map[K]*V, key K) *V {
	if all[key] == nil {
		all[key] = new(V)
	}
	return all[key]
}

func sorted[K comparable, V any](all map[K]*V, compare func(a, b V) int) []V {
	values := make([]V, 0, len(all))
	for _, v := range all {
		values = append(values, *v)
	}
	slices.SortFunc(values, compare)
	return values
}

// landingQuantile returns the time within which that share of landings came, by the middle of its class.
func landingQuantile(took map[int64]int64, share float64) time.Duration {
	var classes []int64
	var all int64
	for class, n := range took {
		classes, all = append(classes, class), all+n
	}
	slices.Sort(classes)
	var below int64
	for _, class := range classes {
		if below += took[class]; float64(below) >= share*float64(all) {
			return time.Duration(math.Exp((float64(class)-0.5)/20) * float64(time.Second))
		}
	}
	return 0
}
