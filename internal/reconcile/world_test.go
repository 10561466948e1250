package reconcile_test

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

func content(key string) []byte { return []byte("contents of " + key) }

// create makes n PENDING media, which are declared to be [content] of their keys.
func (w *world) create(n int) []*media.Media {
	w.t.Helper()
	ms := make([]*media.Media, n)
	for i := range ms {
		id := uuid.Must(uuid.NewV7())
		ms[i] = &media.Media{
			ID: id, Tenant: alice.Tenant, Owner: alice.Owner, Key: w.keys.Key(id), ContentType: "text/plain",
			SizeBytes: int64(len(content(w.keys.Key(id)))), URLExpiresAt: w.Now().Add(5 * time.Minute),
		}
	}
	ms, err := w.store.Create(w.t.Context(), ms)
	if err != nil {
		w.t.Fatal(err)
	}
	return ms
}

// put stores an object, behind the service's back.
func (w *world) put(key string, body []byte) {
	w.t.Helper()
	_, err := w.s3.PutObject(w.t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: &key, Body: strings.NewReader(string(body)), ContentType: aws.String("text/plain"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) upload(ms ...*media.Media) {
	w.t.Helper()
	for _, m := range ms {
		w.put(m.Key, content(m.Key))
	}
}

// land records that media have landed, as their notifications would.
func (w *world) land(ms ...*media.Media) {
	w.t.Helper()
	var landings []media.Landing
	for _, m := range ms {
		o, found, err := w.objects.Head(w.t.Context(), m.Key)
		if err != nil || !found {
			w.t.Fatalf("looking at %s: found %t, error %v", m.Key, found, err)
		}
		l := m.Observe(o)
		l.Sequencer = media.Sequencer(strings.Repeat("0", 39) + "1")
		landings = append(landings, l)
	}
	if _, err := w.store.Land(w.t.Context(), media.SourceNotification, landings); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) confirm(ms ...*media.Media) {
	w.t.Helper()
	for _, m := range ms {
		if _, err := w.store.Confirm(w.t.Context(), alice, []media.Claim{{MediaID: m.ID, Claim: "post/1"}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// confirmed makes n CONFIRMED media with their objects.
func (w *world) confirmed(n int) []*media.Media {
	w.t.Helper()
	ms := w.create(n)
	w.upload(ms...)
	w.land(ms...)
	w.confirm(ms...)
	return ms
}

func (w *world) discard(e media.Event, ms ...*media.Media) {
	w.t.Helper()
	for _, m := range ms {
		if _, err := w.store.Discard(w.t.Context(), alice, m.ID, e, "post/1"); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) sweep() {
	w.t.Helper()
	if _, err := w.sweeper.RunOnce(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// remove deletes an object behind the service's back.
func (w *world) remove(key string) {
	w.t.Helper()
	if _, err := w.s3.DeleteObject(w.t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
		w.t.Fatal(err)
	}
}

// listed is all that is in the bucket.
func (w *world) listed() (all []reconcile.Listed) {
	w.t.Helper()
	for page, err := range w.objects.List(w.t.Context(), reconcile.Range{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, page...)
	}
	return all
}

// held are the keys of the bucket.
func (w *world) held() map[string]bool {
	w.t.Helper()
	held := map[string]bool{}
	for _, o := range w.listed() {
		held[o.Key] = true
	}
	return held
}

func (w *world) get(m *media.Media) *media.Media {
	w.t.Helper()
	got, err := w.store.Get(w.t.Context(), alice, m.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) strays() map[string]reconcile.Stray {
	w.t.Helper()
	list, err := w.store.Strays(w.t.Context(), reconcile.StrayPage{Limit: 10000})
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]reconcile.Stray{}
	for _, s := range list {
		all[s.Key] = s
	}
	return all
}

func (w *world) missing() map[uuid.UUID]bool {
	w.t.Helper()
	list, err := w.store.Missing(w.t.Context(), uuid.UUID{}, uuid.UUID{}, 10000)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[uuid.UUID]bool{}
	for _, m := range list {
		all[m.Media.ID] = true
	}
	return all
}

func (w *world) findings(run *reconcile.Run) map[string]reconcile.Kind {
	w.t.Helper()
	list, _, err := w.store.Findings(w.t.Context(), run.ID, 0, 100000)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]reconcile.Kind{}
	for _, f := range list {
		if was, twice := all[f.Key]; twice {
			w.t.Errorf("there are two findings of %s: %s and %s", f.Key, was, f.Kind)
		}
		all[f.Key] = f.Kind
	}
	return all
}

func mintedKey(w *world) string { return w.keys.Key(uuid.Must(uuid.NewV7())) }
