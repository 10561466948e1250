package postgres_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

func keyed(key string) func(*media.Media) { return func(m *media.Media) { m.IdempotencyKey = key } }

// same is a draft that declares what m does, under another id.
func same(m *media.Media, change ...func(*media.Media)) *media.Media {
	return draft(append([]func(*media.Media){func(d *media.Media) {
		d.IdempotencyKey, d.ContentType, d.SizeBytes = m.IdempotencyKey, m.ContentType, m.SizeBytes
		d.ChecksumSHA256, d.FileName, d.Metadata = m.ChecksumSHA256, m.FileName, m.Metadata
	}}, change...)...)
}

func TestCreateStoresWhatItReturns(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	meta := map[string]string{"album": "7", "": "empty key", "x": ""}
	for name, d := range map[string]*media.Media{
		"plain":       draft(),
		"keyed":       draft(keyed("k")),
		"all":         draft(keyed("all"), func(m *media.Media) { m.Metadata = meta }),
		"no checksum": draft(func(m *media.Media) { m.ChecksumSHA256, m.FileName = nil, "" }),
		"fine time":   draft(func(m *media.Media) { m.URLExpiresAt = f.Now().Add(time.Minute + 1234567*time.Nanosecond + 999) }),
	} {
		t.Run(name, func(t *testing.T) {
			ms, err := f.Create(t.Context(), []*media.Media{d})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.get(t, d.ID); text(got) != text(ms[0]) {
				t.Errorf("stored is\n%s, returned was\n%s", text(got), text(ms[0]))
			}
			if m := ms[0]; m.State != media.StatePending || m.Revision != 1 || !m.DueAt.Equal(f.Now().Add(windows.Upload)) || !m.CreatedAt.Equal(f.Now()) {
				t.Errorf("it begins as %s", text(m))
			}
		})
	}
}

// TestIdempotencyKey: the same key is the same media, for as long as that one lives.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for _, state := range media.States {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			f := newStore(t)
			first := f.create(t, keyed("k"))
			f.move(t, first, state)
			before := f.get(t, first.ID)
			f.Advance(10 * time.Minute)
			expires := f.Now().Add(5 * time.Minute)
			ms, err := f.Create(t.Context(), []*media.Media{same(first, func(m *media.Media) { m.URLExpiresAt = expires })})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.get(t, ms[0].ID); text(got) != text(ms[0]) {
				t.Errorf("stored is\n%s, returned was\n%s", text(got), text(ms[0]))
			}
			want := *before
			switch {
			case state == media.StatePending:
				want.URLExpiresAt, want.DueAt, want.Revision = expires, f.Now().Add(windows.Upload), 2
			case !state.Live(): // the key is free
				if ms[0].ID == first.ID || ms[0].State != media.StatePending || text(f.get(t, first.ID)) != text(before) {
					t.Errorf("the key of a media that is %s gave %s", state, text(ms[0]))
				}
				return
			}
			if text(ms[0]) != text(&want) {
				t.Errorf("got\n%s, want\n%s", text(ms[0]), text(&want))
			}
		})
	}
}

// move brings a fresh media to the state.
func (f *fixture) move(t *testing.T, m *media.Media, state media.State) {
	t.Helper()
	for _, e := range map[media.State][]media.Event{
		media.StateUploaded:  {media.EventLand},
		media.StateConfirmed: {media.EventLand, media.EventConfirm},
		media.StateDeleting:  {media.EventCancel},
		media.StateDeleted:   {media.EventCancel, media.EventGone},
	}[state] {
		if err := f.apply(t, m, e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIdempotencyKeyNeverShortens: a clock that lags behind another process's takes nothing back.
func TestIdempotencyKeyNeverShortens(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	first := f.create(t, keyed("k"))
	f.Advance(-10 * time.Minute)
	ms, err := f.Create(t.Context(), []*media.Media{same(first, func(m *media.Media) { m.URLExpiresAt = first.URLExpiresAt.Add(-time.Minute) })})
	if err != nil {
		t.Fatal(err)
	}
	if !ms[0].DueAt.Equal(first.DueAt) || !ms[0].URLExpiresAt.Equal(first.URLExpiresAt) {
		t.Errorf("due %s, URL until %s; before %s, %s", ms[0].DueAt, ms[0].URLExpiresAt, first.DueAt, first.URLExpiresAt)
	}
}

func TestIdempotencyMismatchNamesTheField(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	first := f.create(t, keyed("k"), func(m *media.Media) { m.Metadata = map[string]string{"a": "1"} })
	other := sha256.Sum256([]byte("other"))
	for field, change := range map[string]func(*media.Media){
		"content_type":    func(m *media.Media) { m.ContentType = "image/png" },
		"size_bytes":      func(m *media.Media) { m.SizeBytes++ },
		"checksum_sha256": func(m *media.Media) { m.ChecksumSHA256 = other[:] },
		"file_name":       func(m *media.Media) { m.FileName = "b.jpg" },
		"metadata":        func(m *media.Media) { m.Metadata = map[string]string{"a": "2"} },
	} {
		// The second item is fine, and is not created for all that.
		fine := draft()
		_, err := f.Create(t.Context(), []*media.Media{same(first, change), fine})
		batch, ok := errors.AsType[*media.BatchError](err)
		if !ok || batch.Items[0] == nil || batch.Items[1] != nil {
			t.Errorf("%s: got %v", field, err)
			continue
		}
		e := batch.Items[0]
		if e.Code != media.CodeIdempotencyMismatch || e.Field != "idempotency_key" || e.MediaID != first.ID || !strings.Contains(e.Message, "another "+field) {
			t.Errorf("%s: got %+v", field, e)
		}
		if _, err := f.Get(t.Context(), alice, fine.ID); err == nil {
			t.Errorf("%s: half of the batch was created", field)
		}
	}
	if got := f.get(t, first.ID); text(got) != text(first) {
		t.Errorf("refusals changed it to %s", text(got))
	}
}

// TestIdempotencyKeyIsTheOwners: another owner's or tenant's use of the same key is another key (R9).
func TestIdempotencyKeyIsTheOwners(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	seen := map[uuid.UUID]bool{}
	for _, scope := range []media.Scope{alice, {Tenant: "acme", Owner: "bob"}, {Tenant: "other", Owner: "alice"}} {
		m := f.create(t, keyed("k"), func(m *media.Media) { m.Tenant, m.Owner, m.SizeBytes = scope.Tenant, scope.Owner, int64(100+len(seen)) })
		seen[m.ID] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d media for 3 owners", len(seen))
	}
}

// TestCreateBatchWithKeys: known keys, new ones, repeated ones and none at all in one batch.
func TestCreateBatchWithKeys(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	known := f.create(t, keyed("known"))
	fresh := draft(keyed("fresh"))
	batch := []*media.Media{
		draft(), fresh, same(known), same(fresh), draft(), draft(keyed("another")),
	}
	ms, err := f.Create(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := []uuid.UUID{batch[0].ID, fresh.ID, known.ID, fresh.ID, batch[4].ID, batch[5].ID}
	for i, m := range ms {
		if m.ID != want[i] {
			t.Errorf("item %d is media %s, want %s", i, m.ID, want[i])
		}
		if got := f.get(t, m.ID); text(got) != text(m) {
			t.Errorf("item %d: stored is\n%s, returned was\n%s", i, text(got), text(m))
		}
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "pending"); n != 5 {
		t.Errorf("%v media were counted, want 5", n)
	}
	twoSizes := []*media.Media{draft(keyed("two")), draft(keyed("two"), func(m *media.Media) { m.SizeBytes = 5 })}
	if _, err := f.Create(t.Context(), twoSizes); err == nil {
		t.Error("one key stood for two uploads in a batch")
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "pending"); n != 5 {
		t.Errorf("%v media were counted, want 5: nothing of a refused batch", n)
	}
}

// TestCreateAtOnce: one key from many callers at once is one media, whoever comes first.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	const callers = 16
	for round := range 10 {
		first := draft(keyed(fmt.Sprint("k", round)))
		ids := make([]uuid.UUID, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				ms, err := f.Create(t.Context(), []*media.Media{same(first)})
				if err != nil {
					t.Errorf("caller %d: %v", i, err)
					return
				}
				ids[i] = ms[0].ID
			})
		}
		wg.Wait()
		for i, id := range ids {
			if id != ids[0] {
				t.Errorf("round %d: caller %d got %s, caller 0 got %s", round, i, id, ids[0])
			}
		}
	}
	if n := f.count(t, "coatcheck_media_entered_total", "", "pending"); n != 10 {
		t.Errorf("%v media were counted, want 10", n)
	}
}
