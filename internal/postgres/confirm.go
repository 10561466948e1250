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
	scope     media.Scope
	claims    []media.Claim
	confirmed []*media.Media // the answer: all that it asked for, as they are then, in any order, or none
}

func (c *confirmation) size() int { return len(c.claims) }

// confirmSQL confirms the media of those calls all of whose media are UPLOADED, in the scope, and locked by nobody, and
// leaves the media of the others as they are. That is judged by the rows as they are under the lock. One that somebody
// holds is not waited for: a product's own transaction may hold it for long, and the other calls would wait with it. What
// waits for nobody may lock in any order.
//
// A row that was not UPLOADED when the statement began is left alone even if it is by now: Postgres computes the new row
// from the old one first, and holds that against the CHECK constraints.
var confirmSQL = `
WITH locked AS MATERIALIZED (
	SELECT m.id, a.claim, a.call
	FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[]) AS a (id, claim, call, tenant, owner)
	JOIN coatcheck.media AS m ON m.id = a.id
	WHERE m.state || '' = 'uploaded' AND m.tenant || '' = a.tenant AND (a.owner = '' OR m.owner || '' = a.owner)
	FOR UPDATE OF m SKIP LOCKED
), whole AS MATERIALIZED (
	SELECT call FROM locked GROUP BY call HAVING count(*) = ($6::int[])[call + 1]
)
UPDATE coatcheck.media AS m
SET state = 'confirmed', claim = l.claim, confirmed_at = $7, due_at = NULL, revision = m.revision + 1
FROM locked AS l
WHERE m.id = l.id AND l.call IN (SELECT call FROM whole)
RETURNING l.call, ` + string(columns)

// confirmUploaded is what nearly every confirmation comes to, in one statement that is shared with others: media that are
// UPLOADED, in the scope and claimed by nothing. It returns nil when it is anything else, and has changed nothing then: a
// transaction judges it.
func (s *Store) confirmUploaded(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error) {
	if len(claims) == 0 || !storable(scope.Tenant) || !storable(scope.Owner) {
		return nil, nil
	}
	c := &confirmation{scope: scope, claims: claims}
	if err := s.confirms.Do(ctx, c); err != nil || c.confirmed == nil {
		return nil, err
	}
	if len(claims) == 1 {
		return c.confirmed, nil
	}
	at := make(map[uuid.UUID]*media.Media, len(claims))
	for _, m := range c.confirmed {
		at[m.ID] = m
	}
	confirmed := make([]*media.Media, len(claims))
	for i, claim := range claims {
		confirmed[i] = at[claim.MediaID]
	}
	return confirmed, nil
}

// confirmTogether answers several calls by one statement.
func (s *Store) confirmTogether(ctx context.Context, calls []*confirmation) error {
	args := confirmArgs(calls, s.time())
	if args == nil {
		return nil
	}
	var call int32
	r := newReader(&call)
	_, err := s.query(ctx, confirmSQL, func(answer scanner) error {
		m, err := r.read(answer)
		if err != nil {
			return err
		}
		c := calls[call]
		if c.confirmed == nil {
			c.confirmed = make([]*media.Media, 0, c.size())
		}
		c.confirmed = append(c.confirmed, m)
		return nil
	}, args...)
	if err != nil {
		return unusable(fmt.Errorf("confirming media: %w", err))
	}
	for _, c := range calls { // here, since a caller may have gone
		s.entered(media.StateConfirmed, "", len(c.confirmed), idsOf(c.confirmed)...)
	}
	return nil
}

// confirmArgs are the arguments of confirmSQL, or nil when it has nothing to do. A call that has a media twice, or one that
// is another's as well, is left to its own transaction.
func confirmArgs(calls []*confirmation, now time.Time) []any {
	n := 0
	for _, c := range calls {
		n += c.size()
	}
	var (
		ids     = make(uuids, 0, n)
		texts   = make([]string, 0, n)
		tenants = make([]string, 0, n)
		owners  = make([]string, 0, n)
		numbers = make([]int32, 0, n)
		sizes   = make([]int32, len(calls))
		taken   = make(map[uuid.UUID]int, n)
	)
	for n, c := range calls {
		if !c.take(taken, n) {
			continue
		}
		sizes[n] = int32(c.size())
		for _, claim := range c.claims {
			ids, texts, numbers = append(ids, toUUID(claim.MediaID)), append(texts, claim.Claim), append(numbers, int32(n))
			tenants, owners = append(tenants, c.scope.Tenant), append(owners, c.scope.Owner)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []any{ids, texts, numbers, tenants, owners, sizes, now}
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
