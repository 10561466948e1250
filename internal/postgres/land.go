package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/coatcheck/coatcheck/internal/media"
)

// landSQL records a batch of landings: it locks the rows, judges each landing by the row as it is under the lock, and
// changes what the verdict says. "news" is a landing that the row has not seen: by sequencer, or, where one of the two
// has none, by assumption. A size that is not the declared one rejects whatever the order of the events, but only news
// change what the row says of the object (R5).
//
// A landing on a DELETING row makes it due at once and raises its revision, so that a DeleteObjects call that is under
// way, and may have passed before this object arrived, does not count as having deleted it (R2).
//
// What is CONFIRMED keeps the etag and the version that were confirmed, whatever lands after: a download asks for that
// version, and the overwriting is noted in the row (R3). Its sequencer goes on, so that it is noted once.
//
// landSQL waits for a row that is locked; passOverSQL says that it is held.
//
// What is kept is taken from the locked row, j, and not from m: Postgres computes the new row from m as it was when the
// statement began, and holds that against the CHECK constraints before it notices that m has changed since, and
// computes it again.
var (
	landSQL     = fmt.Sprintf(landFormat, "", "")
	passOverSQL = fmt.Sprintf(landFormat, "SKIP LOCKED", "WHEN state IS NULL AND EXISTS (SELECT FROM coatcheck.media AS m WHERE m.id = compared.id) THEN 'held'")
)

const landFormat = `
WITH event AS (
	SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[], $5::text[],
			$6::text[], $7::text[])
		AS e (id, min_size, max_size, mismatch, new_etag, new_version_id, new_sequencer)
), locked AS MATERIALIZED (
	SELECT m.id, m.key, m.state, m.reason, m.size_bytes, m.landed_at, m.landed_by, m.etag, m.version_id, m.sequencer, m.claim,
		m.confirmed_at, m.overwritten_at, m.deleting_at, m.deleted_at, m.attempts, m.due_at, m.revision
	FROM coatcheck.media AS m
	WHERE m.id IN (SELECT id FROM event)
	ORDER BY m.id
	FOR UPDATE %s
), compared AS (
	SELECT e.*, l.state, l.reason, l.landed_at, l.landed_by, l.etag, l.version_id, l.sequencer, l.claim, l.confirmed_at,
		l.overwritten_at, l.deleting_at, l.deleted_at, l.attempts, l.due_at, l.revision,
		e.mismatch OR e.min_size <> l.size_bytes OR e.max_size <> l.size_bytes AS wrong,
		e.new_sequencer = '' OR l.sequencer IS NULL OR e.new_sequencer > l.sequencer AS news,
		nullif(e.new_etag, '') IS NOT DISTINCT FROM l.etag AS same,
		l.state = 'confirmed' AS kept, right(l.key, 37) <> '/' || l.id AS reused
	FROM event AS e LEFT JOIN locked AS l USING (id)
), judged AS MATERIALIZED (
	SELECT *, CASE
		%s
		WHEN state IS NULL THEN 'unknown'
		WHEN state IN ('pending', 'uploaded') AND wrong THEN 'rejected'
		WHEN state = 'pending' THEN 'landed'
		WHEN NOT news OR reused AND state IN ('deleting', 'deleted') THEN 'duplicate' -- it is somebody else's
		WHEN state = 'deleting' THEN 'deleting'
		WHEN state = 'deleted' THEN 'late'
		WHEN same THEN 'duplicate'
		WHEN state = 'uploaded' THEN 'replaced'
		ELSE 'conflict'
	END AS verdict
	FROM compared
), changed AS (
	UPDATE coatcheck.media AS m SET
		state        = CASE j.verdict WHEN 'landed' THEN 'uploaded' WHEN 'rejected' THEN 'deleting' WHEN 'late' THEN 'deleting' ELSE j.state END,
		reason       = CASE WHEN j.verdict IN ('rejected', 'late') THEN j.verdict ELSE j.reason END,
		landed_at    = coalesce(j.landed_at, $8),
		landed_by    = coalesce(j.landed_by, $10),
		etag         = CASE WHEN j.news AND NOT j.kept THEN nullif(j.new_etag, '') ELSE j.etag END,
		version_id   = CASE WHEN j.news AND NOT j.kept THEN coalesce(nullif(j.new_version_id, ''), j.version_id) ELSE j.version_id END,
		sequencer    = greatest(j.sequencer, nullif(j.new_sequencer, '')),
		claim        = j.claim,
		confirmed_at = j.confirmed_at,
		overwritten_at = CASE WHEN j.verdict = 'conflict' THEN coalesce(j.overwritten_at, $8) ELSE j.overwritten_at END,
		deleting_at  = CASE WHEN j.verdict IN ('rejected', 'late') THEN $8 ELSE j.deleting_at END,
		deleted_at   = CASE WHEN j.verdict = 'late' THEN NULL ELSE j.deleted_at END,
		attempts     = CASE WHEN j.verdict IN ('rejected', 'late', 'deleting') THEN 0 ELSE j.attempts END,
		due_at       = CASE WHEN j.verdict = 'landed' THEN $9 WHEN j.verdict IN ('rejected', 'late', 'deleting') THEN $8 ELSE j.due_at END,
		revision     = j.revision + 1
	FROM judged AS j
	WHERE m.id = j.id
		AND (j.verdict IN ('landed', 'rejected', 'deleting', 'late', 'replaced', 'conflict')
			-- The same contents, known by a later sequencer or version: a second PUT, or the notification of what a HEAD
			-- had told before. Keep them, so that the order in which they came does not matter (R5).
			OR j.verdict = 'duplicate' AND j.news AND j.same AND j.new_sequencer <> '')
)
SELECT id, verdict FROM judged`

// landPendingSQL records what nearly every landing is: the declared object of a media that is PENDING. The function says why
// it is one, and returns the ids of those that it has recorded. They are told only when they are not all that it was given. It
// gives up, with lockNotAvailable, when it has waited 200 ms for a row.
const landPendingSQL = `
SELECT count(*), CASE WHEN count(*) < cardinality($1::uuid[]) THEN array_agg(id) END
FROM coatcheck.land_pending($1, $2, $3, $4, $5, $6, $7, $8) AS id`

// Land records that objects exist, and returns what each landing did. Landings of the same media are reduced to one by
// [media.Gather], so there is one result for each media, in the order of ids. With an error come the results of those that
// were recorded before it.
//
// What a notification tells does not wait for a row that somebody's transaction holds, a product's that claims media, say: the
// others that it came with would wait, too. Its verdict is [media.VerdictHeld]. What other sources tell waits.
//
// What lands as it was declared on a media that is PENDING is recorded by one statement, and what is left of them, if
// anything is, by a second. When that one fails the first has happened, and is a duplicate when it is tried again.
func (s *Store) Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error) {
	if len(landings) == 0 {
		return nil, nil
	}
	gathered := media.Gather(landings)
	if err := checkLandings(gathered); err != nil {
		return nil, err
	}
	now, results := s.time(), unjudged(gathered)
	err := s.landPending(ctx, now, source, gathered, results)
	if err == nil {
		err = s.judge(ctx, s.query, now, source, gathered, results)
	}
	if err != nil {
		results = slices.DeleteFunc(results, func(l media.Landed) bool { return l.Verdict == "" })
	}
	s.landed(source, results)
	return results, err
}

// land is Land by whatever query is, in one statement and without its metrics.
func (s *Store) land(ctx context.Context, query querier, now time.Time, source media.Source, landings []media.Landing) ([]media.Landed, error) {
	gathered := media.Gather(landings)
	if err := checkLandings(gathered); err != nil {
		return nil, err
	}
	results := unjudged(gathered)
	return results, s.judge(ctx, query, now, source, gathered, results)
}

// unjudged are the results of landings that have no verdict yet.
func unjudged(gathered []media.Gathered) []media.Landed {
	results := make([]media.Landed, len(gathered))
	for i, g := range gathered {
		results[i] = media.Landed{MediaID: g.MediaID, EventTime: g.EventTime}
	}
	return results
}

// find returns the result of a media. They are in the order of ids.
func find(results []media.Landed, id pgtype.UUID) *media.Landed {
	i, _ := slices.BinarySearchFunc(results, id.Bytes, func(l media.Landed, id [16]byte) int { return bytes.Compare(l.MediaID[:], id[:]) })
	return &results[i]
}

// landPending gives a verdict to those that landPendingSQL can record.
func (s *Store) landPending(ctx context.Context, now time.Time, source media.Source, gathered []media.Gathered, results []media.Landed) error {
	var (
		n                           = len(gathered)
		ids                         = make(uuids, 0, n)
		sizes                       = make([]int64, 0, n)
		etags, versions, sequencers = make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	)
	for _, g := range gathered {
		if g.Mismatch == "" && g.MinSize == g.MaxSize {
			ids, sizes = append(ids, toUUID(g.MediaID)), append(sizes, g.SizeBytes)
			etags, versions, sequencers = append(etags, g.ETag), append(versions, g.VersionID), append(sequencers, string(g.Sequencer))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var count int
	var landed uuids
	_, err := s.query(ctx, landPendingSQL, func(row scanner) error { return row.Scan(&count, &landed) },
		ids, sizes, etags, versions, sequencers, source, now, now.Add(s.windows.Claim))
	if sqlState(err) == lockNotAvailable {
		return nil // judge passes over what is held, or waits for it
	}
	if err != nil {
		return unusable(fmt.Errorf("recording landings: %w", err))
	}
	if count == len(ids) {
		landed = ids
	}
	for _, id := range landed {
		find(results, id).Verdict = media.VerdictLanded
	}
	return nil
}

// judgeSQL is what judges landings of a source.
func judgeSQL(source media.Source) string {
	if source == media.SourceNotification {
		return passOverSQL
	}
	return landSQL
}

// judge gives a verdict, by landSQL or passOverSQL, to those that have none.
func (s *Store) judge(ctx context.Context, query querier, now time.Time, source media.Source, gathered []media.Gathered, results []media.Landed) error {
	var rest []media.Gathered
	for i, g := range gathered {
		if results[i].Verdict == "" {
			rest = append(rest, g)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	_, err := query(ctx, judgeSQL(source), func(row scanner) error {
		var id pgtype.UUID
		var verdict media.Verdict
		if err := row.Scan(&id, &verdict); err != nil {
			return err
		}
		find(results, id).Verdict = verdict
		return nil
	}, s.landArgs(now, source, rest)...)
	if err != nil {
		return unusable(fmt.Errorf("recording landings: %w", err))
	}
	return nil
}

// landArgs are the arguments of landSQL and passOverSQL.
func (s *Store) landArgs(now time.Time, source media.Source, gathered []media.Gathered) []any {
	n := len(gathered)
	var (
		ids                         = make(uuids, n)
		minSizes, maxSizes          = make([]int64, n), make([]int64, n)
		mismatches                  = make([]bool, n)
		etags, versions, sequencers = make([]string, n), make([]string, n), make([]string, n)
	)
	for i, g := range gathered {
		ids[i], minSizes[i], maxSizes[i], mismatches[i] = toUUID(g.MediaID), g.MinSize, g.MaxSize, g.Mismatch != ""
		etags[i], versions[i], sequencers[i] = g.ETag, g.VersionID, string(g.Sequencer)
	}
	return []any{ids, minSizes, maxSizes, mismatches, etags, versions, sequencers, now, now.Add(s.windows.Claim), source}
}
