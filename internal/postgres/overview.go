package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

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

// countSQL counts all media in one scan, in groups of which there are some thousands at most. What is not told of older
// media, and of those that were adopted and so never presigned, is NULL in their groups. How long a landing took is told as the
// logarithm of its seconds, in twentieths: two that are told as one differ by less than 5 %.
const countSQL = `
SELECT m.state, coalesce(m.reason, '') AS reason,
	CASE WHEN m.created_at > ?hour THEN 1 WHEN m.created_at > ?day THEN 2 WHEN m.created_at > ?week THEN 3 WHEN m.created_at > ?month THEN 4 ELSE 5 END AS age,
	CASE WHEN ` + presignedOfLate + ` THEN date_trunc('hour', m.created_at) END AS hour,
	CASE WHEN ` + presignedOfLate + ` THEN m.landed_by END AS source,
	` + presignedOfLate + ` AND m.landed_by <> 'notification' AND m.sequencer IS NULL AS unnotified,
	` + presignedOfLate + ` AND m.confirmed_at IS NOT NULL AS confirmed,
	CASE WHEN m.landed_at > ?hour AND m.landed_by = 'notification' THEN
		ceil(20 * ln(greatest(extract(epoch FROM m.landed_at - m.created_at)::float8, 0.001)))::integer
	END AS took,
	count(*) AS media, sum(m.size_bytes)::bigint AS bytes
FROM coatcheck.media AS m
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8`

const presignedOfLate = `(m.created_at > ?week AND right(m.key, 37) = '/' || m.id)`

type countArgs struct {
	Hour  time.Time `bun:"hour"`
	Day   time.Time `bun:"day"`
	Week  time.Time `bun:"week"`
	Month time.Time `bun:"month"`
}

type countRow struct {
	State      media.State
	Reason     media.Reason
	Age        overview.Age
	Hour       sql.NullTime
	Source     media.Source `bun:",nullzero"`
	Unnotified sql.NullBool
	Confirmed  bool
	Took       sql.NullInt64
	Media      int64
	Bytes      int64
}

func countMedia(ctx context.Context, db bun.IDB, now time.Time) (*overview.Counts, error) {
	const day = 24 * time.Hour
	began := time.Now()
	var rows []countRow
	err := db.NewRaw(countSQL, countArgs{now.Add(-time.Hour), now.Add(-day), now.Add(-7 * day), now.Add(-30 * day)}).Scan(ctx, &rows)
	if err != nil {
		return nil, err
	}
	counts := addUp(rows)
	counts.CountedAt, counts.Took = now, time.Since(began)
	return counts, nil
}

// addUp makes the counts that are told of the groups that were read.
func addUp(rows []countRow) *overview.Counts {
	type group struct {
		state  media.State
		reason media.Reason
		age    overview.Age
	}
	var (
		groups   = map[group]*overview.MediaCount{}
		hours    = map[time.Time]*overview.FunnelHour{}
		landings = map[media.Source]*overview.LandingCount{}
		took     = map[int64]int64{}
	)
	for _, r := range rows {
		g := of(groups, group{r.State, r.Reason, r.Age})
		g.State, g.Reason, g.Age = r.State, r.Reason, r.Age
		g.Media += r.Media
		g.Bytes += r.Bytes
		if r.Took.Valid {
			took[r.Took.Int64] += r.Media
		}
		if !r.Hour.Valid {
			continue
		}
		h := of(hours, r.Hour.Time.UTC())
		h.Start = r.Hour.Time.UTC()
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
		l := of(landings, r.Source)
		l.Source = r.Source
		l.Media += r.Media
		if r.Unnotified.Bool {
			l.Unnotified += r.Media
		}
	}
	return &overview.Counts{
		Media: sorted(groups, func(a, b overview.MediaCount) int {
			return cmp.Or(cmp.Compare(slices.Index(media.States, a.State), slices.Index(media.States, b.State)), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Age, b.Age))
		}),
		Funnel: sorted(hours, func(a, b overview.FunnelHour) int { return a.Start.Compare(b.Start) }),
		Landings: sorted(landings, func(a, b overview.LandingCount) int {
			return cmp.Compare(slices.Index(media.Sources, a.Source), slices.Index(media.Sources, b.Source))
		}),
		LandingP50: landingQuantile(took, 0.5), LandingP99: landingQuantile(took, 0.99),
	}
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
