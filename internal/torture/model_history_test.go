package torture

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
)

var modelScope = media.Scope{Tenant: "acme", Owner: "alice"}

const (
	modelURLLife = 5 * time.Minute
	modelMost    = 16 // media of one history
)

// history is one run of the service on an empty world, and what the model makes of it.
type history struct {
	*site
	ctx       context.Context
	client    *http.Client
	versioned bool
	record    *modelRecord

	mu    sync.Mutex // what follows, while several things are done at once
	made  int        // media, also those that an idempotency key has found to be made
	media []*modelMedia
	byID  map[uuid.UUID]*modelMedia
	slow  []*modelSlow
	wrong []string // what the model has found
	runs  modelRuns

	headFaults, keyFaults bool // S3 was told to fail, so that calls may

	left     bool     // a run that is left in the middle is gone on with at once
	mended   bool     // reconciliations have removed what no row explains
	answers  []string // what callers were told
	log      []string // what was done, for a failure that does not come again
	failed   func(log []string)
	step     int
	together bool      // several things are done at once in this step
	began    time.Time // this step, by the world's clock
	audited  int64     // number of the last change that was judged
	there    map[string][]stored
	counts   map[string]int // for the tally
	entered  map[string]float64
}

// newHistory empties the world and gives it a new bucket.
func newHistory(ctx context.Context, w *world, versioned bool) (*history, error) {
	w.emu.Faults().Clear()
	if _, err := w.db.ExecContext(ctx, "DELETE FROM coatcheck.media"); err != nil {
		return nil, fmt.Errorf("forgetting all media: %w", err)
	}
	if err := w.forgetRuns(ctx); err != nil {
		return nil, err
	}
	if _, err := w.db.ExecContext(ctx, "DELETE FROM public.audit"); err != nil {
		return nil, fmt.Errorf("forgetting the audit: %w", err)
	}
	s, err := w.newSite(ctx, versioned)
	if err != nil {
		return nil, err
	}
	entered, err := w.enteredMetric()
	if err != nil {
		return nil, err
	}
	return &history{
		site: s, ctx: ctx, client: modelClient(), versioned: versioned, record: newModelRecord(), byID: map[uuid.UUID]*modelMedia{},
		runs: modelRuns{}, there: map[string][]stored{}, counts: map[string]int{}, entered: entered,
	}, nil
}

// end cuts what is under way, and clears up.
func (h *history) end() error {
	for _, s := range h.slow {
		s.cut()
	}
	h.client.CloseIdleConnections()
	return h.site.remove(h.ctx)
}

// found takes note of something that should not be.
func (h *history) found(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

func (h *history) count(kind string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[kind] += n
}

// do makes one step of one or more things at once, and judges what came of it.
func (h *history) do(t *rapid.T, things ...modelOp) {
	h.step++
	h.together, h.began = len(things) > 1 || len(things) == 1 && things[0].together, h.Now()
	var wg sync.WaitGroup
	for _, o := range things {
		t.Logf("step %d: %s", h.step, o.what)
		h.log = append(h.log, fmt.Sprintf("step %d: %s", h.step, o.what))
		wg.Go(o.run)
	}
	wg.Wait()
	h.look()
	h.verdict(t)
}

// verdict fails the history for what was found.
func (h *history) verdict(t *rapid.T) {
	if len(h.wrong) == 0 {
		return
	}
	for _, w := range h.wrong {
		t.Logf("WRONG: %s", w)
		h.log = append(h.log, "WRONG: "+w)
	}
	h.failed(h.log)
	t.Fatalf("step %d, together %t: %s", h.step, h.together, h.wrong[0])
}

// look reads what the step has changed in the database and in the bucket, and judges it.
func (h *history) look() {
	changes, err := readAudit(h.ctx, h.db, h.audited)
	if err != nil {
		h.found("%v", err)
		return
	}
	all, err := h.contents(h.ctx)
	if err != nil {
		h.found("%v", err)
		return
	}
	before := h.there
	h.there = map[string][]stored{}
	for _, o := range all {
		h.there[o.Key] = append(h.there[o.Key], o)
	}
	for _, c := range changes {
		h.audited = c.N
		h.judge(c, before)
	}
	h.vanished(before)
	h.records()
	for _, m := range h.media {
		h.keeps(m)
	}
}

// modelOp is something to be done, whose choices have been made.
type modelOp struct {
	what     string
	run      func()
	together bool // it is several things at once by itself
}
