package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// confirmation is a call of [Store.Confirm] that is to be answered together with others.
type confirmation struct {
	scope  media.Scope
	claims []media.Claim
	now    time.Time
	rows   []row // the answer: all that it asked for, as they are then, or none
}

func (c *confirmation) size() int { return len(c.claims) }

// confirmSQL confirms the media of those calls all of whose media are UPLOADED, in the scope, and locked by nobody, and
// leaves the media of the others as they are. That is judged by the rows as they are under the lock. One that somebody
// holds is not waited for: a product's own transaction may hold it for long, and the other calls would wait with it.
//
// A row that was not UPLOADED when the statement began is left alone even if it is by now: Postgres computes the new row
// from the old one first, and holds that against the CHECK constraints.
var confirmSQL = `
WITH asked AS (
	SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
		AS a (id, claim, call, calls_media, tenant, owner, now)
), locked AS MATERIALIZED (
	SELECT m.id, a.claim, a.call, a.calls_media, a.now
	FROM coatcheck.media AS m JOIN asked AS a ON a.id = m.id
	WHERE m.state || '' = 'uploaded' AND m.tenant || '' = a.tenant AND (a.owner = '' OR m.owner || '' = a.owner)
	ORDER BY m.id
	FOR UPDATE OF m SKIP LOCKED
), whole AS MATERIALIZED (
	SELECT call FROM locked GROUP BY call, calls_media HAVING count(*) = calls_media
)
UPDATE coatcheck.media AS m
SET state = 'confirmed', claim = l.claim, confirmed_at = l.now, due_at = NULL, revision = m.revision + 1
FROM locked AS l
WHERE m.id = l.id AND l.call IN (SELECT call FROM whole)
RETURNING l.call, ` + string(columns)

// confirmUploaded is what nearly every confirmation comes to, in one statement that is shared with others: media that are
// UPLOADED, in the scope and claimed by nothing. It returns nil when it is anything else, and has changed nothing then: a
// transaction judges it.
func (s *Store) confirmUploaded(ctx context.Context, scope media.Scope, claims []media.Claim, now time.Time) ([]*media.Media, error) {
	if len(claims) == 0 || !storable(scope.Tenant) || !storable(scope.Owner) {
		return nil, nil
	}
	c := &confirmation{scope: scope, claims: claims, now: now}
	if err := s.confirms.Do(ctx, c); err != nil || c.rows == nil {
		return nil, err
	}
	at := make(map[uuid.UUID]*media.Media, len(claims))
	for i := range c.rows {
		at[c.rows[i].ID] = c.rows[i].media()
	}
	confirmed := make([]*media.Media, len(claims))
	for i, claim := range claims {
		confirmed[i] = at[claim.MediaID]
	}
	s.entered(media.StateConfirmed, "", len(confirmed), idsOf(confirmed)...)
	return confirmed, nil
}

// confirmTogether answers several calls by one statement.
func (s *Store) confirmTogether(ctx context.Context, calls []*confirmation) error {
	args := confirmArgs(calls)
	if args == nil {
		return nil
	}
	_, err := s.query(ctx, confirmSQL, func(answer scanner) error {
		var (
			call int32
			r    row
		)
		if err := answer.Scan(append([]any{&call}, r.fields()...)...); err != nil {
			return err
		}
		calls[call].rows = append(calls[call].rows, r)
		return nil
	}, args...)
	if err != nil {
		return unusable(fmt.Errorf("confirming media: %w", err))
	}
	return nil
}

// confirmArgs are the arguments of confirmSQL, or nil when it has nothing to do. A call that has a media twice, or one that
// is another's as well, is left to its own transaction.
func confirmArgs(calls []*confirmation) []any {
	var (
		ids                    uuids
		texts, tenants, owners []string
		numbers, sizes         []int32
		nows                   []time.Time
		taken                  = make(map[uuid.UUID]int)
	)
	for n, c := range calls {
		if !c.take(taken, n) {
			continue
		}
		for _, claim := range c.claims {
			ids, texts = append(ids, toUUID(claim.MediaID)), append(texts, claim.Claim)
			numbers, sizes = append(numbers, int32(n)), append(sizes, int32(len(c.claims)))
			tenants, owners, nows = append(tenants, c.scope.Tenant), append(owners, c.scope.Owner), append(nows, c.now)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []any{ids, texts, numbers, sizes, tenants, owners, nows}
}

// take notes the call's media as its own, call number n, or reports that one of them is taken.
func (c *confirmation) take(taken map[uuid.UUID]int, n int) bool {
	for i, claim := range c.claims {
		if _, ok := taken[claim.MediaID]; ok {
			for _, mine := range c.claims[:i] {
				if taken[mine.MediaID] == n {
					delete(taken, mine.MediaID)
				}
			}
			return false
		}
		taken[claim.MediaID] = n
	}
	return true
}
