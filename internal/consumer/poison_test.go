package consumer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestRefusedMessageDoesNotBlockOthers has a store that never accepts one media.
func TestRefusedMessageDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	ids := newIDs(40)
	bad := ids[7]
	l := &landings{hook: func(_ context.Context, batch []media.Landing) error {
		if slices.ContainsFunc(batch, func(b media.Landing) bool { return b.MediaID == bad }) {
			return fmt.Errorf("recording landings: %w", refusal{})
		}
		return nil
	}}
	r := newRig(t, 2, l)
	r.send(each(ids)...)
	r.start()
	good := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return id == bad })
	eventually(t, "the others land", func() bool { return l.all(good...) })
	eventually(t, "the bad one goes to the dead-letter queue", func() bool { return r.depths().DeadLetters.Visible == 1 })
	if got := r.deadLetters(); len(got) != 1 || !strings.Contains(got[0], bad.String()) {
		t.Errorf("dead letters: %q", got)
	}
	if r.metric("isolations_total") == 0 || r.metric("messages_total", "refused") != 2 {
		t.Errorf("isolations: %d, refused: %d", r.metric("isolations_total"), r.metric("messages_total", "refused"))
	}
}

// TestNotUnderstoodGoesToTheDeadLetterQueue sends what should never have come, while good messages flow.
func TestNotUnderstoodGoesToTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 2, l)
	r.cfg.VisibilityTimeout = patient
	ids := newIDs(20)
	half := event(ids[0])
	bad := []string{
		"hello", "null", "[]", `{}`, half[:len(half)/2], strings.Repeat("[", 100_000),
		`{"Records":[` + strings.Repeat("{},", 2000) + `{}]}`,
		`{"Records":"` + strings.Repeat("x", 900_000) + `"}`,
		`{"Type":"SubscriptionConfirmation","Message":"You have chosen"}`,
		body(record("another-bucket", "ObjectCreated:Put", keys.Key(ids[0]), 100, "01")),
		body(record("another-bucket", "ObjectRemoved:Delete", keys.Key(ids[0]), 100, "01")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), -1, "01")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, "not hexadecimal")),
		body(record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, strings.Repeat("A", 41))),
		strings.Replace(event(ids[0]), `"2.1"`, `"3.0"`, 1),
	}
	for i, b := range bad {
		r.send(b) // by itself: some are nearly as large as a batch may be
		r.send(event(ids[1+i]))
	}
	r.start()
	good := ids[1 : 1+len(bad)]
	eventually(t, "the good ones land", func() bool { return l.all(good...) })
	eventually(t, "the bad ones are dead letters", func() bool { return r.empty() && int(r.depths().DeadLetters.Visible) == len(bad) })
	got := r.deadLetters()
	slices.Sort(got)
	slices.Sort(bad)
	if !slices.Equal(got, bad) {
		t.Errorf("the dead letters are not what was sent: %d of %d", len(got), len(bad))
	}
	if n := l.times(ids[0])[0]; n != 0 {
		t.Errorf("something that was not understood landed %d times", n)
	}
	// Each was given out twice and no more often: it was left to its visibility timeout.
	if n := r.metric("messages_total", "not_understood"); n != 2*len(bad) {
		t.Errorf("%d receives of %d messages that may be given out twice", n, len(bad))
	}
	if n := r.metric("deleted_total"); n != len(good) {
		t.Errorf("deleted %d messages, and %d were understood", n, len(good))
	}
}

// TestPartlyUnderstood lands the good records of a message that is not understood as a whole.
func TestPartlyUnderstood(t *testing.T) {
	t.Parallel()
	l := &landings{}
	r := newRig(t, 1, l)
	ids := newIDs(2)
	mixed := body(
		record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, "01"),
		record(bucket, "ObjectCreated:Put", keys.Key(ids[1]), -1, "01"),
	)
	other := body(
		record("another-bucket", "ObjectCreated:Put", keys.Key(ids[0]), 100, "01"),
		record(bucket, "ObjectCreated:Put", keys.Key(ids[1]), 100, "01"),
	)
	r.send(mixed, other)
	r.start()
	eventually(t, "the good records land", func() bool { return l.all(ids...) })
	eventually(t, "the messages are dead letters", func() bool { return r.empty() && r.depths().DeadLetters.Visible == 2 })
	if n := r.metric("deleted_total"); n != 0 {
		t.Errorf("deleted %d messages", n)
	}
	if n := r.metric("messages_total", "landed"); n != 0 {
		t.Errorf("counted %d messages as landed", n)
	}
}

// TestNeitherUnderstoodNorAccepted: a message of which a part is not understood, and the database refuses the other, has one
// outcome each time it comes, and the log says both once.
func TestNeitherUnderstoodNorAccepted(t *testing.T) {
	t.Parallel()
	l := &landings{hook: func(context.Context, []media.Landing) error { return refusal{} }}
	r := newRig(t, 2, l)
	var out bytes.Buffer // slog writes one line at a time
	r.parts.Log = slog.New(slog.NewTextHandler(&out, nil))
	ids := newIDs(2)
	r.send(body(
		record(bucket, "ObjectCreated:Put", keys.Key(ids[0]), 100, "01"),
		record(bucket, "ObjectCreated:Put", keys.Key(ids[1]), -1, "01"),
	))
	stop := r.start()
	eventually(t, "it is a dead letter", func() bool { return r.empty() && r.depths().DeadLetters.Visible == 1 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	for outcome, want := range map[string]int{"not_understood": 2, "refused": 0, "landed": 0, "nothing_to_do": 0, "given_back": 0} {
		if n := r.metric("messages_total", outcome); n != want {
			t.Errorf("received twice, and counted %d times as %s, want %d", n, outcome, want)
		}
	}
	for _, line := range []string{"message not understood", "message refused by the database"} {
		if n := strings.Count(out.String(), line); n != 1 {
			t.Errorf("%q is in the log %d times, want once", line, n)
		}
	}
}
