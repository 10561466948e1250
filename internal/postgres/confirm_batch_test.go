package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestBatchesWithoutPreparedStatements: batches, which are confirmed in a transaction, do without those that a pooler loses, too.
func TestBatchesWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	store, db := f.another(t, f.url)
	for range 3 {
		ms := uploaded(t, f, 2)
		if got, err := store.Confirm(t.Context(), alice, claims("post/1", ms...)); err != nil || len(got) != 2 {
			t.Fatalf("%v, %v", got, err)
		}
		if _, err := db.ExecContext(t.Context(), "DEALLOCATE ALL"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBatchesAfterOneThatWasNotUploaded: a while after a batch that could have been confirmed in part only, or of which
// somebody held a row, batches are judged first; then they are confirmed in one pass again. Both do the same.
func TestBatchesAfterOneThatWasNotUploaded(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	held := uploaded(t, f, 2)
	tx, err := open(t, f.url).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `SELECT 1 FROM coatcheck.media WHERE id = ? FOR UPDATE`, held[0].ID); err != nil {
		t.Fatal(err)
	}
	waits, stop := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for name, spoil := range map[string]func(){
		"PENDING": func() {
			if _, err := f.Confirm(t.Context(), alice, claims("post/1", uploaded(t, f, 1)[0], f.create(t))); err == nil {
				t.Error("one that is PENDING was confirmed")
			}
		},
		"held": func() {
			waiting.Go(func() { _, _ = f.Confirm(waits, alice, claims("post/1", held...)) })
			for deadline := time.Now().Add(time.Minute); f.ExpectsAll() && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		confirm := func() {
			ms := uploaded(t, f, 2)
			got, err := f.Confirm(t.Context(), alice, claims("post/1", ms...))
			if err != nil || len(got) != 2 || text(got[0]) != text(f.get(t, ms[0].ID)) || got[1].State != media.StateConfirmed {
				t.Fatalf("%s: %v, %v", name, got, err)
			}
		}
		if confirm(); !f.ExpectsAll() {
			t.Errorf("%s: a batch of what was UPLOADED was not confirmed in one pass", name)
		}
		if spoil(); f.ExpectsAll() {
			t.Errorf("%s: batches are confirmed in one pass although one was not UPLOADED", name)
		}
		n := 0
		for ; !f.ExpectsAll() && n < 1000; n++ {
			confirm()
		}
		if n < 10 || n > 100 {
			t.Errorf("%s: %d batches were judged first", name, n)
		}
	}
	stop()
	waiting.Wait()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for _, m := range held {
		if got := f.get(t, m.ID); got.State != media.StateUploaded {
			t.Errorf("%s", text(got))
		}
	}
}

// TestBatchesAreGathered: several batches that are confirmed in one pass are answered each for itself, calls of another owner
// and of another tenant among them take nothing, and where one is not UPLOADED whole it is left as it is, whichever of them it
// is (R3, R9).
func TestBatchesAreGathered(t *testing.T) {
	t.Parallel()
	for name, whole := range map[string]bool{"whole": true, "one in part": false} {
		f := newStore(t)
		first, ms, pending := uploaded(t, f, 2), uploaded(t, f, 9), f.create(t)
		bob := media.Scope{Tenant: alice.Tenant, Owner: "bob"}
		type call struct {
			scope  media.Scope
			claims []media.Claim
			ok     bool
		}
		calls := []call{
			{alice, claims("post/1", first[0]), true}, {alice, claims("post/1", first[1]), true}, // under way while the others come
			{alice, claims("post/2", ms[1], ms[0]), true}, {media.Scope{Tenant: alice.Tenant}, claims("post/3", ms[2], ms[3]), true},
			{alice, claims("post/4", ms[4]), true}, {bob, claims("post/5", ms[5]), false}, {bob, claims("post/6", ms[6], ms[7]), false},
			{media.Scope{Tenant: "another"}, claims("post/7", ms[8]), false},
		}
		if !whole {
			calls = append(calls, call{alice, claims("post/8", ms[7], pending), false})
			calls[6].claims = claims("post/6", ms[5], ms[6]) // ms[5] is asked for before: this is left to itself
		}
		release := holdWrites(t, f)
		var answered sync.WaitGroup
		for i, c := range calls {
			answered.Go(func() {
				got, err := f.Confirm(t.Context(), c.scope, c.claims)
				if (err == nil) != c.ok {
					t.Errorf("%s: call %d: %v", name, i, err)
				}
				for k, m := range got {
					if m == nil || m.ID != c.claims[k].MediaID || m.State != media.StateConfirmed || m.Claim != c.claims[k].Claim {
						t.Errorf("%s: call %d, media %d is answered by %+v", name, i, k, m)
					}
				}
			})
			f.occupied(t, i)
			if i > 1 {
				f.await(t, i-1) // so that they come in this order
			}
		}
		release()
		answered.Wait()
		if f.ExpectsAll() != whole {
			t.Errorf("%s: confirmed in one pass: %t", name, f.ExpectsAll())
		}
		for _, m := range ms[5:] {
			if got := f.get(t, m.ID); got.State != media.StateUploaded {
				t.Errorf("%s: %s", name, text(got))
			}
		}
	}
}

// TestRowsThatATriggerLeavesOut: nothing is answered as CONFIRMED that is not, also where somebody's trigger keeps a row of a
// batch as it was, and once that is gone the batch is confirmed (R3).
func TestRowsThatATriggerLeavesOut(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	db := open(t, f.url)
	if _, err := db.ExecContext(t.Context(), `CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER leave_out BEFORE UPDATE ON coatcheck.media FOR EACH ROW WHEN (NEW.claim = 'not') EXECUTE FUNCTION leave_out()`); err != nil {
		t.Fatal(err)
	}
	ms := uploaded(t, f, 2)
	batch := append(claims("post/1", ms[0]), claims("not", ms[1])...)
	for range 2 { // in one pass, and judged first
		if got, err := f.Confirm(t.Context(), alice, batch); err == nil || !strings.Contains(err.Error(), "trigger") {
			t.Errorf("%v, %v", got, err)
		}
	}
	if _, err := db.ExecContext(t.Context(), `DROP TRIGGER leave_out ON coatcheck.media`); err != nil {
		t.Fatal(err)
	}
	got, err := f.Confirm(t.Context(), alice, batch)
	if err != nil || len(got) != 2 || got[0].State != media.StateConfirmed || got[1].State != media.StateConfirmed || got[1].Claim != "not" {
		t.Errorf("%v, %v", got, err)
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "confirmed"); n != 2 {
		t.Errorf("%v confirmations were counted", n)
	}
}

// awaitLocks waits until so many statements wait for locks.
func (f *fixture) awaitLocks(t *testing.T, n int) {
	t.Helper()
	db, waits := open(t, f.url), 0
	for deadline := time.Now().Add(time.Minute); waits < n; time.Sleep(time.Millisecond) {
		err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d statements wait for locks, want %d: %v", waits, n, err)
		}
	}
}

// TestBatchMeetsALostServer: a batch ends with its context when nothing comes back any more, also while it is rolled back (R10).
func TestBatchMeetsALostServer(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	lossy, lost := losing(t, f.url, "rollback")
	store, _ := f.another(t, lossy)
	there, pending := uploaded(t, f, 1)[0], f.create(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := store.Confirm(ctx, alice, claims("post/1", there, pending))
		done <- err
	}()
	select {
	case <-lost:
	case err := <-done:
		t.Fatalf("it was not rolled back: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it did not end with its context")
	}
	if got := f.get(t, there.ID); got.State != media.StateUploaded {
		t.Errorf("%s", text(got))
	}
}

// losing is where a Postgres can be reached until a client sends a word; from then on neither hears of the other.
func losing(t *testing.T, databaseURL, word string) (lossyURL string, lost <-chan struct{}) {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	gone, once := make(chan struct{}), sync.Once{}
	serve := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial(network, address)
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(client, server) }()
		for b := make([]byte, 1<<16); ; {
			n, err := client.Read(b)
			if err != nil {
				return
			}
			if bytes.Contains(b[:n], []byte(word)) {
				once.Do(func() { close(gone) })
			}
			select {
			case <-gone:
			default:
				_, _ = server.Write(b[:n])
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(client)
		}
	}()
	u := url.URL{Scheme: "postgres", Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	u.User = url.UserPassword(config.User, config.Password)
	return u.String(), gone
}

// TestConfirmedIsWhole: what a confirmation answers with is the row as it is afterwards, with every column, whichever statement
// confirmed it, although those return fewer.
func TestConfirmedIsWhole(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for name, n := range map[string]int{"alone": 1, "batch": 3, "batch, judged first": 3} {
		ms := uploaded(t, f, n)
		for _, m := range ms {
			if _, err := open(t, f.url).ExecContext(t.Context(), `
				UPDATE coatcheck.media SET checksum_sha256 = sha256('x'), file_name = 'f', metadata = '{"k": "v"}', idempotency_key = id::text,
					etag = 'e', version_id = 'v', sequencer = repeat('7', 40), attempts = 3, last_error = 'l', deleting_at = now(), deleted_at = now()
				WHERE id = ?`, m.ID); err != nil {
				t.Fatal(err)
			}
		}
		if name == "batch, judged first" {
			f.ExpectNotAll()
		} else {
			f.ExpectAll()
		}
		wanted := claims("post/1", ms...)
		for i := range wanted {
			wanted[i].Claim = fmt.Sprintf("post/%d", i)
		}
		got, err := f.Confirm(t.Context(), media.Scope{Tenant: alice.Tenant}, wanted)
		if err != nil || len(got) != n {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		for i, m := range got {
			if want := f.get(t, wanted[i].MediaID); fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", want) || m.Claim != wanted[i].Claim || m.LastError != "l" || m.Tenant == "" {
				t.Errorf("%s: confirmed is\n%+v\nand the row\n%+v", name, m, want)
			}
		}
	}
}
