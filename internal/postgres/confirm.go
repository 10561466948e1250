package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/media"
)

// confirmation is a call of [Store.Confirm] that is to be answered together with others.
type confirmation struct {
	scope     media.Scope
	claims    []media.Claim
	from      int            // how many claims the statement has before its own
	found     int            // how many of its media have been confirmed
	confirmed []*media.Media // those, as they are then, each in the place of its claim
}

func (c *confirmation) size() int { return len(c.claims) }

// asked are the claims of a confirmation, each with the numbers of its call and of that one's scope, and uploadedAsked is what it
// takes: media that are UPLOADED, in the scope. The scopes are few; a tenant and an owner for each claim cost Postgres 3 % of its
// time for a batch.
const (
	asked         = `unnest($1::uuid[], $2::text[], $3::int[], $4::int[]) WITH ORDINALITY AS a (id, claim, call, scope, place)`
	uploadedAsked = `m.id = a.id AND m.state || '' = 'uploaded' AND m.tenant || '' = ($5::text[])[a.scope]
	AND (($6::text[])[a.scope] = '' OR m.owner || '' = ($6::text[])[a.scope])`
)

// confirmSQL confirms the media of those calls all of whose media are UPLOADED, in the scope, and locked by nobody, and
// leaves the media of the others as they are. That is judged by the rows as they are under the lock. One that somebody
// holds is not waited for: a product's own transaction may hold it for long, and the other calls would wait with it. What
// waits for nobody may lock in any order.
//
// A row that was not UPLOADED when the statement began is left alone even if it is by now: Postgres computes the new row
// from the old one first, and holds that against the CHECK constraints.
var confirmSQL = `
WITH locked AS MATERIALIZED (
	SELECT m.id, a.claim, a.call, a.place
	FROM ` + asked + `
	JOIN coatcheck.media AS m ON ` + uploadedAsked + `
	FOR UPDATE OF m SKIP LOCKED
), whole AS MATERIALIZED (
	SELECT call FROM locked GROUP BY call HAVING count(*) = ($8::int[])[call]
)
UPDATE coatcheck.media AS m
SET state = 'confirmed', claim = l.claim, confirmed_at = $7, due_at = NULL, revision = m.revision + 1
FROM locked AS l
WHERE m.id = l.id AND l.call IN (SELECT call FROM whole)
RETURNING l.place, ` + confirmedColumns

// confirmAllSQL does the same in one pass over the rows, with a ninth less of Postgres's time, and for that must run in a
// transaction: which calls it has confirmed in part shows afterwards, and it waits for locks.
var confirmAllSQL = `
UPDATE coatcheck.media AS m
SET state = 'confirmed', claim = a.claim, confirmed_at = $7, due_at = NULL, revision = m.revision + 1
FROM ` + asked + `
WHERE ` + uploadedAsked + `
RETURNING a.place, ` + confirmedColumns

// confirmedColumns are those that are not known of what has just been confirmed. What was UPLOADED had no reason. Postgres takes
// its time for each column that it returns.
var confirmedColumns, confirmedPlaces = columnsBut("id", "tenant", "state", "reason", "claim", "confirmed_at", "due_at")

const (
	// beginAll begins the transaction of confirmAllSQL, which waits for no lock longer than this. Postgres looks for
	// deadlocks after a second: where a product's transaction waits for it in turn, it is nearly always this that gives way.
	beginAll = `BEGIN; SET LOCAL lock_timeout = '20ms'`
	// notAllFor is how many statements for batches are sent as confirmSQL after one that was not: what made it fail, such as
	// backends that confirm before the notification comes, tends to come again, and what is rolled back was done in vain.
	notAllFor = 50
)

// confirmUploaded is what nearly every confirmation comes to, in one statement that is shared with others: media that are
// UPLOADED, in the scope and claimed by nothing. It returns nil when it is anything else, and has changed nothing then, unless
// somebody's trigger has left out a part: a transaction judges it.
func (s *Store) confirmUploaded(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error) {
	if len(claims) == 0 || !storable(scope.Tenant) || !storable(scope.Owner) {
		return nil, nil
	}
	c := &confirmation{scope: scope, claims: claims}
	err := s.confirms.Do(ctx, c)
	if err != nil || c.found < c.size() {
		return nil, err
	}
	return c.confirmed, nil
}

// confirmTogether answers several calls by one statement. It changes nothing that it does not answer with, but for the rest of a
// call of which somebody's trigger left out a part.
func (s *Store) confirmTogether(ctx context.Context, calls []*confirmation) error {
	args := confirmArgs(calls, s.time())
	if args == nil {
		return nil
	}
	all, err := s.confirmAll(ctx, calls, args)
	if err == nil && !all {
		_, err = s.query(ctx, confirmSQL, answering(calls, args), args...)
	}
	if err != nil {
		return unusable(fmt.Errorf("confirming media: %w", err))
	}
	for _, c := range calls { // here, since a caller may have gone
		s.entered(media.StateConfirmed, "", c.found, idsOf(c.confirmed)...)
	}
	return nil
}

// answering returns what reads the rows of an answer to confirmArgs, each for its claim.
func answering(calls []*confirmation, args []any) func(scanner) error {
	numbers := args[2].([]int32)
	var place int64 // from 1
	r := newReaderOf(confirmedPlaces, &place)
	r.row.State, r.row.ConfirmedAt = media.StateConfirmed, args[6].(time.Time)
	return func(answer scanner) error {
		m, err := r.read(answer)
		if err != nil {
			return err
		}
		at := int(place) - 1
		c := calls[numbers[at]-1]
		if c.confirmed == nil {
			c.confirmed = make([]*media.Media, c.size())
		}
		at -= c.from
		m.ID, m.Tenant, m.Claim = c.claims[at].MediaID, c.scope.Tenant, c.claims[at].Claim
		c.confirmed[at] = m
		c.found++
		return nil
	}
}

// confirmAll confirms by confirmAllSQL where one of the calls is for several media. It reports false when it has changed
// nothing, because there was none, or one could have been confirmed in part only, or somebody held a row.
func (s *Store) confirmAll(ctx context.Context, calls []*confirmation, args []any) (done bool, err error) {
	if !slices.ContainsFunc(calls, (*confirmation).batch) || s.notAll.Load() > 0 && s.notAll.Add(-1) >= 0 {
		return false, nil
	}
	half, mode := false, s.mode()
	err = s.withPgx(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginAll})
		if err != nil {
			return err
		}
		// After a commit it does nothing; where it fails, as it does once ctx has ended, pgx closes the connection. Without an end
		// it would wait for a server that is out of reach as long as TCP does.
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := readAll(ctx, tx, mode, confirmAllSQL, answering(calls, args), args[:7]...); err != nil {
			return err
		}
		if half = slices.ContainsFunc(calls, (*confirmation).half); half {
			return nil
		}
		return tx.Commit(ctx)
	})
	if err == nil && !half {
		return true, nil
	}
	for _, c := range calls {
		c.found, c.confirmed = 0, nil
	}
	if half || sqlState(err) == lockNotAvailable {
		s.notAll.Store(notAllFor)
	} else if !s.lostPrepared(mode, err) {
		return false, err
	}
	return false, nil
}

func (c *confirmation) batch() bool { return c.size() > 1 }

// half reports that it was confirmed in part.
func (c *confirmation) half() bool { return c.found > 0 && c.found < c.size() }

// confirmArgs are the arguments of confirmSQL, and all but the last are those of confirmAllSQL; nil when there is nothing to
// do. A call that has a media twice, or one that is another's as well, is left to its own transaction.
func confirmArgs(calls []*confirmation, now time.Time) []any {
	n := 0
	for _, c := range calls {
		n += c.size()
	}
	var (
		ids     = make(uuids, 0, n)
		texts   = make([]string, 0, n)
		numbers = make([]int32, 0, n) // of their calls, from 1
		scopes  = make([]int32, 0, n) // the numbers of those, from 1
		tenants = make([]string, 0, 1)
		owners  = make([]string, 0, 1)
		sizes   = make([]int32, len(calls))
		taken   = make(map[uuid.UUID]int, n)
		known   = make(map[media.Scope]int32, 1)
	)
	for i, c := range calls {
		if !c.take(taken, i) {
			continue
		}
		scope, ok := known[c.scope]
		if !ok {
			tenants, owners = append(tenants, c.scope.Tenant), append(owners, c.scope.Owner)
			scope = int32(len(tenants))
			known[c.scope] = scope
		}
		sizes[i], c.from = int32(c.size()), len(ids)
		for _, claim := range c.claims {
			ids, texts = append(ids, toUUID(claim.MediaID)), append(texts, claim.Claim)
			numbers, scopes = append(numbers, int32(i+1)), append(scopes, scope)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []any{ids, texts, numbers, scopes, tenants, owners, now, sizes}
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
