package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/media"
)

// look asks S3, the adoption's list and the rows about each candidate, and puts what is to be recorded into the batch.
// What cannot be told is counted as unclear, and left; when S3 tells nothing at all, that is an error.
func (w *scan) look(ctx context.Context, candidates []candidate, b *Batch) error {
	if len(candidates) == 0 {
		return nil
	}
	var strays, others []candidate
	ids := make([]uuid.UUID, 0, len(candidates))
	for _, c := range candidates {
		if c.ask == askStray {
			strays = append(strays, c)
			continue
		}
		others = append(others, c)
		ids = append(ids, c.row.ID)
	}
	if err := w.lookAtStrays(ctx, strays, b); err != nil {
		return err
	}
	if len(others) == 0 {
		return nil
	}
	known, err := w.store.MediaByID(ctx, ids)
	if err != nil {
		return err
	}
	return w.each(ctx, others, b, func(ctx context.Context, c candidate, add func(func())) error {
		m := known[c.row.ID]
		if m == nil { // purged meanwhile
			add(func() { b.Counts[CountChanged]++ })
			return nil
		}
		if c.ask == askVersion {
			if _, found, err := w.objects.HeadVersion(ctx, m.Key, m.VersionID); err != nil || !found {
				add(func() {
					if err == nil {
						b.Missing = append(b.Missing, c.row)
					}
				})
				return err
			}
		}
		o, found, err := w.objects.Head(ctx, m.Key)
		if err != nil {
			return err
		}
		if found {
			add(func() { w.exists(m, o, b) })
			return nil
		}
		if c.ask == askLanding { // deleted since it was listed
			add(func() { b.Counts[CountChanged]++ })
			return nil
		}
		if m.VersionID != "" {
			if _, found, err = w.objects.HeadVersion(ctx, m.Key, m.VersionID); err != nil {
				return err
			}
		}
		add(func() {
			if found {
				b.Counts[CountHidden]++
				b.find(KindHidden, m.Key, m.ID, m.SizeBytes, "a delete marker hides it; version "+m.VersionID+" is there and is still the one served")
				return
			}
			b.Missing = append(b.Missing, c.row)
		})
		return nil
	})
}

// exists deals with the object of a media that S3 has, whatever the listing said.
func (w *scan) exists(m *media.Media, o media.Object, b *Batch) {
	if m.Reusable() && (m.State == media.StateDeleting || m.State == media.StateDeleted) { // released meanwhile
		b.Counts[CountChanged]++
		return
	}
	l := m.Observe(o)
	if verdictOf(m, l) == media.VerdictDuplicate {
		b.Counts[CountExplained]++
		return
	}
	if !w.run.DryRun {
		b.Landings = append(b.Landings, Landing{Landing: l, Key: m.Key})
		return
	}
	count, kind := outcomeOf(verdictOf(m, l))
	b.Counts[count]++
	if kind != "" {
		b.find(kind, m.Key, m.ID, l.SizeBytes, describe(kind, l))
	}
}

// lookAtStrays tells those that are to be adopted from the others. What an inventory says is old: S3 is asked again.
func (w *scan) lookAtStrays(ctx context.Context, candidates []candidate, b *Batch) error {
	adoptions := map[string]Adoption{}
	if w.run.Adopt && len(candidates) > 0 {
		keys := make([]string, len(candidates))
		for i, c := range candidates {
			keys[i] = c.object.Key
		}
		// Of other prefixes there may be what an older list has left.
		keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, w.run.AdoptPrefix) })
		var err error
		if adoptions, err = w.store.Adoptions(ctx, keys); err != nil {
			return err
		}
	}
	var ask []candidate
	for _, c := range candidates {
		if _, listed := adoptions[c.object.Key]; listed || w.run.Source != SourceListing {
			ask = append(ask, c)
			continue
		}
		w.found(c.object, b)
	}
	return w.each(ctx, ask, b, func(ctx context.Context, c candidate, add func(func())) error {
		o, found, err := w.objects.Head(ctx, c.object.Key)
		if err != nil {
			return err
		}
		a, listed := adoptions[c.object.Key]
		add(func() {
			switch {
			case !found:
				b.Counts[CountChanged]++
			case !listed:
				c.object.SizeBytes, c.object.ETag, c.object.VersionID, c.object.LastModified = o.SizeBytes, o.ETag, o.VersionID, o.LastModified
				w.found(c.object, b)
			case w.run.DryRun:
				b.Counts[CountAdopted]++
			default:
				b.Adopted = append(b.Adopted, w.adopt(a, o))
			}
		})
		return nil
	})
}

// found puts a stray into the batch. What a trial of an adoption would call one is not managed yet, and gets no record.
func (w *scan) found(o Listed, b *Batch) {
	s := Stray{
		Key: o.Key, SizeBytes: o.SizeBytes, ETag: o.ETag, VersionID: o.VersionID, Ours: w.ours(o.Key, w.adopted),
		LastModified: o.LastModified.Truncate(time.Second), // a HEAD tells no more
	}
	if w.trial() {
		b.Counts.stray(s)
		b.find(KindStray, s.Key, uuid.UUID{}, s.SizeBytes, "no row explains it, and the list does not name it")
		return
	}
	b.Strays = append(b.Strays, s)
}

// trial reports whether the run tries an adoption out.
func (w *scan) trial() bool { return w.run.Adopt && w.run.DryRun }

// adopt returns the media of an object that was there before coatcheck. Its id tells the time of the object, as an
// upload's does, so that lists are in the order of creation.
func (w *scan) adopt(a Adoption, o media.Object) *media.Media {
	id, minted := w.keys.ID(a.Key)
	if !minted {
		id = uuidAt(o.LastModified)
	}
	now := w.now()
	contentType := plain(o.ContentType) // other tools may have sent any bytes
	if contentType == "" {
		contentType = "binary/octet-stream" // what S3 takes an object for that was stored without
	}
	return &media.Media{
		ID: id, Tenant: a.Tenant, Owner: a.Owner, Key: a.Key, State: media.StateConfirmed, ContentType: contentType,
		SizeBytes: o.SizeBytes, ChecksumSHA256: o.ChecksumSHA256, CreatedAt: o.LastModified, URLExpiresAt: o.LastModified,
		LandedAt: now, LandedBy: media.SourceReconcile, ETag: o.ETag, VersionID: o.VersionID, Claim: a.Claim, ConfirmedAt: now,
	}
}

// uuidAt returns a UUIDv7 of a time.
func uuidAt(t time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := max(0, t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

func (b *Batch) find(kind Kind, key string, id uuid.UUID, size int64, detail string) {
	b.Findings = append(b.Findings, Finding{Kind: kind, Key: key, MediaID: id, SizeBytes: size, Detail: detail})
}

func (c *candidate) key() string {
	if c.object.Key != "" {
		return c.object.Key
	}
	return c.row.Key
}

// each looks at candidates side by side. What a look adds to the batch is added by one goroutine at a time.
func (w *scan) each(ctx context.Context, cs []candidate, b *Batch, look func(ctx context.Context, c candidate, add func(func())) error) error {
	var (
		mu      sync.Mutex
		group   errgroup.Group
		unclear int
		failure error // the first
	)
	add := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	group.SetLimit(w.config.HeadConcurrency)
	for _, c := range cs {
		group.Go(func() error {
			err := ctx.Err()
			if err == nil {
				err = look(ctx, c, add)
			}
			if err != nil {
				add(func() {
					unclear++
					if failure == nil {
						failure = err
					}
					b.Counts[CountUnclear]++
					b.Untold = append(b.Untold, Untold{Key: c.key(), MediaID: c.row.ID})
					b.find(KindUnclear, c.key(), c.row.ID, -1, "S3 could not be asked for it: "+bounded(err.Error()))
				})
			}
			return nil
		})
	}
	_ = group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if unclear > 0 {
		w.logger.WarnContext(ctx, "reconcile: S3 could not be asked for some keys, they are left as they are",
			"run", w.run.ID, "keys", unclear, "of", len(cs), "error", failure)
	}
	return w.whole(ctx, unclear, len(cs), failure)
}

// whole tells an outage from what S3 will not tell of some keys, however often it is asked (objects under a customer's own
// encryption key, say): those must not keep a run from its end.
func (r *Reconciler) whole(ctx context.Context, failed, of int, failure error) error {
	if failed == 0 || failed < of {
		return nil
	}
	if err := r.objects.Ping(ctx); err != nil {
		return fmt.Errorf("S3 could be asked for none of %d keys: %w", of, failure)
	}
	return nil
}
