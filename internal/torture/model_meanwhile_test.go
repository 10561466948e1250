package torture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/claim"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// meanwhile is something that happens when another thing comes to a point for the first time. What is done at once may
// meet there by chance; this does, and shrinks.
type meanwhile struct {
	at   string
	run  func()
	once sync.Once
}

const (
	afterHead     = "S3 has answered a HEAD"
	beforeDelete  = "objects are deleted"
	afterDelete   = "S3 has deleted objects"
	beforeLanding = "landings are recorded"
	afterLanding  = "landings have been recorded"

	afterListing     = "S3 has listed a page"
	beforeCheckpoint = "what a reconciliation found is recorded"
)

func (m *meanwhile) reached(point string) {
	if m != nil && m.at == point {
		m.once.Do(m.run)
	}
}

// meanwhileObjects is the bucket, with something that happens at a point.
type meanwhileObjects struct {
	sweep.Objects
	then *meanwhile
}

func (o meanwhileObjects) Head(ctx context.Context, key string) (media.Object, bool, error) {
	object, found, err := o.Objects.Head(ctx, key)
	o.then.reached(afterHead)
	return object, found, err
}

func (o meanwhileObjects) Delete(ctx context.Context, ms []*media.Media) ([]error, error) {
	o.then.reached(beforeDelete)
	errs, err := o.Objects.Delete(ctx, ms)
	o.then.reached(afterDelete)
	return errs, err
}

// meanwhileStore is the store of a claimer, with something that happens at a point.
type meanwhileStore struct {
	claim.Store
	then *meanwhile
}

func (s meanwhileStore) Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error) {
	s.then.reached(beforeLanding)
	landed, err := s.Store.Land(ctx, source, landings)
	s.then.reached(afterLanding)
	return landed, err
}

// claimer returns the site's, with something that happens at a point.
func (h *history) claimerThen(then *meanwhile) *claim.Claimer {
	return claim.New(meanwhileStore{h.store, then}, meanwhileObjects{h.objects, then})
}

// opMeanwhile is a sweep, a confirmation, a consumer's round or a reconciliation with other things within it, one after another.
func (h *history) opMeanwhile(t *rapid.T) modelOp {
	h.one(t)
	var (
		then  = &meanwhile{}
		outer modelOp
		batch = rapid.SampledFrom([]int{1000, 1}).Draw(t, "batch")
	)
	switch rapid.IntRange(0, 6).Draw(t, "outer") {
	case 0, 1, 2:
		then.at = rapid.SampledFrom([]string{afterDelete, afterHead, beforeDelete}).Draw(t, "when")
		outer = modelOp{what: fmt.Sprintf("sweep, %d at a time", batch), run: func() { h.sweep(batch, then) }}
		if rapid.Bool().Draw(t, "late") {
			return h.opLate(t, batch)
		}
	case 3:
		then.at = rapid.SampledFrom([]string{afterHead, beforeLanding, afterLanding}).Draw(t, "when")
		outer = h.opConfirmThen(t, then)
	case 4:
		then.at = rapid.SampledFrom([]string{beforeLanding, afterLanding}).Draw(t, "when")
		outer = modelOp{what: fmt.Sprintf("consume all, %d at a time", batch), run: func() { h.consumeOrFind(1<<30, min(batch, 100), then) }}
	case 5, 6:
		then.at = rapid.SampledFrom([]string{afterListing, afterHead, beforeCheckpoint, beforeDelete, afterDelete}).Draw(t, "when")
		outer = h.opReconcileThen(t, then)
	}
	things, names := h.some(t, 1, 3)
	then.run = func() {
		for _, o := range things {
			o.run()
		}
	}
	outer.together = true
	outer.what += fmt.Sprintf("; when %s: %s", then.at, strings.Join(names, ", then "))
	return outer
}

// opLate is what sweeps have to fear most: S3 has deleted an object, or there was none, and one arrives before that is
// recorded. The media is deleted first, if it is not on its way out already.
func (h *history) opLate(t *rapid.T, batch int) modelOp {
	m := h.one(t)
	going := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.state != media.StateDeleting })
	if len(going) > 0 {
		m = rapid.SampledFrom(going).Draw(t, "going")
	}
	then := &meanwhile{at: rapid.SampledFrom([]string{afterDelete, beforeDelete}).Draw(t, "when"), run: func() { h.arrive(m) }}
	return modelOp{
		what: fmt.Sprintf("delete media %d, and sweep, %d at a time; when %s: an object of it arrives, and the consumer learns of it", m.n, batch, then.at),
		run: func() {
			h.discard(m, media.EventDelete, "")
			h.sweep(batch, then)
		},
		together: true,
	}
}

// opLandingAfterListing is what a listing is a hint for: an object lands, and is claimed perhaps, when its key has been
// listed without it, and before its row is read.
func (h *history) opLandingAfterListing(t *rapid.T) modelOp {
	m, r := h.one(t), modelReconciliation(t)
	waiting := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.state != media.StatePending || h.live(m) != nil })
	if len(waiting) > 0 {
		m = rapid.SampledFrom(waiting).Draw(t, "waiting")
	}
	claim := rapid.Bool().Draw(t, "claimed")
	then := &meanwhile{at: afterListing, run: func() {
		h.arrive(m)
		if claim {
			h.confirm([]*modelMedia{m}, "post/1", nil)
		}
	}}
	return modelOp{
		what: fmt.Sprintf("%s; when %s: an object of media %d arrives, and the consumer learns of it, claimed %t", r, then.at, m.n, claim),
		run:  func() { h.reconcile(r, then) }, together: true,
	}
}

// some chooses things that may be done while others are.
func (h *history) some(t *rapid.T, least, most int) (things []modelOp, whats []string) {
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(opsAtOnce), least, most).Draw(t, "things") {
		switch {
		case name == "end upload" && len(h.slow) == 0, name == "create" && h.made+3 > modelMost:
			continue
		case name == "create again" && (h.made == modelMost || !slices.ContainsFunc(h.media, (*modelMedia).again)):
			continue
		}
		o := h.ops()[name](t)
		things, whats = append(things, o), append(whats, o.what)
	}
	return things, whats
}
