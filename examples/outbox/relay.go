package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Relay tells coatcheck what the outbox holds. Any number may run, in any number of processes; each row is told by one
// at a time, and those of one media in the order in which they were written.
type Relay struct {
	DB        *sql.DB
	Coatcheck Coatcheck
	Log       *slog.Logger

	// Interval is how long Run waits when nothing is due.
	Interval time.Duration
	// Lease is how long a batch belongs to the relay that took it: what a killed relay had taken waits for as long. It
	// should be longer than the calls of a batch take; when it is not, coatcheck is told twice, which does no harm.
	Lease time.Duration
}

const (
	batchSize    = 10
	callLimit    = 5 * time.Second // of one call
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = time.Minute
)

// wish is a row of the outbox.
type wish struct {
	id       int64
	action   string
	owner    string
	postID   int64
	mediaID  string
	attempts int
}

// claim is what holds the pictures of a post. It must be the same in every attempt, and like no other.
func (w wish) claim() string { return fmt.Sprintf("post/%d", w.postID) }

// Run relays until ctx ends. An error of the database is logged, and tried again.
func (r *Relay) Run(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := r.RunOnce(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "relaying", "error", err)
		}
		if n > 0 && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.Interval):
		}
	}
}

// RunOnce takes a batch of what is due, tells coatcheck, writes down each answer, and returns how many it took.
func (r *Relay) RunOnce(ctx context.Context) (int, error) {
	wishes, err := r.lease(ctx)
	if err != nil {
		return 0, fmt.Errorf("taking from the outbox: %w", err)
	}
	for _, w := range wishes {
		call, cancel := context.WithTimeout(ctx, callLimit)
		outcome, err := r.Coatcheck.tell(call, w)
		cancel()
		if ctx.Err() != nil {
			return len(wishes), ctx.Err() // whoever runs next tells it again
		}
		if err != nil {
			err = r.retryLater(ctx, w, err)
		} else {
			err = r.settle(ctx, w, outcome)
		}
		if err != nil {
			return len(wishes), fmt.Errorf("writing down an answer: %w", err)
		}
	}
	return len(wishes), nil
}

// lease takes rows by making them due later, so that no lock is held while coatcheck is called. A row waits for those of
// its media that were written before it.
func (r *Relay) lease(ctx context.Context) ([]wish, error) {
	rows, err := r.DB.QueryContext(ctx, `
		WITH due AS (
			SELECT id FROM media_outbox AS o
			WHERE done_at IS NULL AND due_at <= now() AND NOT EXISTS (
				SELECT FROM media_outbox AS before
				WHERE before.media_id = o.media_id AND before.id < o.id AND before.done_at IS NULL)
			ORDER BY due_at
			LIMIT $1
			FOR UPDATE SKIP LOCKED
		)
		UPDATE media_outbox AS o SET due_at = now() + make_interval(secs => $2), attempts = attempts + 1
		FROM due WHERE o.id = due.id
		RETURNING o.id, o.action, o.owner, o.post_id, o.media_id, o.attempts`, batchSize, r.Lease.Seconds())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var wishes []wish
	for rows.Next() {
		var w wish
		if err := rows.Scan(&w.id, &w.action, &w.owner, &w.postID, &w.mediaID, &w.attempts); err != nil {
			return nil, err
		}
		wishes = append(wishes, w)
	}
	return wishes, rows.Err()
}

// settle writes down a final answer, and what it means for the product, in one transaction. Should another relay have
// done so already, because the lease had ended, nothing changes.
func (r *Relay) settle(ctx context.Context, w wish, outcome string) error {
	return inTx(ctx, r.DB, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE media_outbox SET done_at = now(), outcome = $2, last_error = NULL
			WHERE id = $1 AND done_at IS NULL`, w.id, outcome)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		if w.action != "confirm" {
			return nil
		}
		state := "claimed"
		if outcome != ok {
			state = "lost"
			r.Log.WarnContext(ctx, "a picture is lost", "post", w.postID, "media", w.mediaID, "outcome", outcome)
		}
		_, err = tx.ExecContext(ctx, `UPDATE picture SET state = $3 WHERE post_id = $1 AND media_id = $2`, w.postID, w.mediaID, state)
		return err
	})
}

// retryLater lets a row be due again after a time that doubles with each attempt, up to a minute, and is drawn at random so
// that rows which failed together do not come back together.
func (r *Relay) retryLater(ctx context.Context, w wish, reason error) error {
	wait := min(firstBackoff<<min(w.attempts-1, 10), maxBackoff)
	wait = wait/2 + rand.N(wait/2)
	_, err := r.DB.ExecContext(ctx, `UPDATE media_outbox SET due_at = now() + make_interval(secs => $2), last_error = $3
		WHERE id = $1 AND done_at IS NULL`, w.id, wait.Seconds(), reason.Error())
	return err
}
