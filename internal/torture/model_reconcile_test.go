package torture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// modelLease is that of a reconciler's shards.
const modelLease = 30 * time.Second

// modelRun is a reconciliation that was begun in a history.
type modelRun struct {
	reconcile.Settings
	at   time.Time // when it was begun
	last int       // step in which it was last worked on
	seen time.Time // when it was last worked on
	busy bool      // somebody works on it now
}

// modelReconcile is what was chosen for one reconciler.
type modelReconcile struct {
	settings reconcile.Settings
	inFlight time.Duration
	shards   int // that a run is begun with; as many as the product makes when it is 0
	dies     int // the call at which it dies; 0: it does not
	how      modelDeath
}

func (r modelReconcile) String() string {
	s := r.settings
	what := fmt.Sprintf("reconcile, policy %s, dry run %t, grace %v, share %v, budget %d, in flight %v, shards %d",
		s.Policy, s.DryRun, s.Grace, s.MaxStrayShare, s.DeleteBudget, r.inFlight, r.shards)
	if r.dies > 0 {
		what += fmt.Sprintf(", %s call %d", r.how, r.dies)
	}
	return what
}

func (h *history) opReconcile(t *rapid.T) modelOp { return h.opReconcileThen(t, nil) }

func (h *history) opReconcileThen(t *rapid.T, then *meanwhile) modelOp {
	r := modelReconciliation(t)
	return modelOp{what: r.String(), run: func() { h.reconcile(r, then) }}
}

func modelReconciliation(t *rapid.T) modelReconcile {
	r := modelReconcile{settings: reconcile.DefaultSettings()}
	s := &r.settings
	s.Policy = rapid.SampledFrom([]reconcile.Policy{reconcile.PolicyDelete, reconcile.PolicyDelete, reconcile.PolicyQuarantine, reconcile.PolicyReport}).Draw(t, "policy")
	s.DryRun = rapid.IntRange(0, 5).Draw(t, "dry run") == 5
	s.Grace = rapid.SampledFrom([]time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute}).Draw(t, "grace")
	s.MaxStrayShare = rapid.SampledFrom([]float64{1, 1, 1, 1, .3, 0}).Draw(t, "share")
	s.DeleteBudget = rapid.SampledFrom([]int64{1000, 1000, 1000, 1}).Draw(t, "budget")
	r.inFlight = rapid.SampledFrom([]time.Duration{0, 0, 5 * time.Minute}).Draw(t, "in flight")
	r.shards = rapid.SampledFrom([]int{1, 2, 2, 2, 2, 2, 2, 0}).Draw(t, "shards")
	if rapid.IntRange(0, 2).Draw(t, "dies") == 2 {
		r.dies, r.how = modelDying(t)
	}
	return r
}

func modelDying(t *rapid.T) (call int, how modelDeath) {
	return rapid.IntRange(1, 24).Draw(t, "at call"),
		rapid.SampledFrom([]modelDeath{modelStopped, modelKilledBefore, modelKilledAfter}).Draw(t, "how")
}

// opInTwo is a run that is left in the middle, and gone on with by another process before anything else happens: it comes
// to what it would have come to.
func (h *history) opInTwo(t *rapid.T) modelOp {
	r := modelReconciliation(t)
	r.settings.DeleteBudget = 1000 // what was taken of it and not used is lost with a process
	r.dies, r.how = modelDying(t)
	return modelOp{what: r.String() + ", and gone on with", run: func() {
		active, err := h.store.Active(h.ctx)
		if err != nil {
			h.found("looking for a run: %v", err)
			return
		}
		fresh := active == nil && !h.headFaults && !h.keyFaults
		want, err := h.expect(r)
		if err != nil {
			h.found("%v", err)
			return
		}
		h.left = true
		h.reconcile(r, nil)
		h.left = false
		if _, err := h.db.ExecContext(h.ctx, "UPDATE coatcheck.reconciliation_shard SET leased_until = NULL"); err != nil {
			h.found("ending leases: %v", err)
		}
		if active, err = h.store.Active(h.ctx); err != nil || active == nil {
			return // it died before it was begun, or when all was done
		}
		r.dies = 0
		h.reconcile(r, nil)
		if run, err := h.store.GetRun(h.ctx, active.ID); err != nil {
			h.found("%v", err)
		} else if fresh {
			want.compare(h, run)
		}
	}}
}

// actUnnoticed stores an object of which nobody is told, and reconciles: one of a tombstone, if there is any, or one of a
// media that waits for it, as declared or not.
func (h *history) actUnnoticed(t *rapid.T) {
	tombstones := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.state != media.StateDeleted })
	waiting := func() []*modelMedia {
		return slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.state != media.StatePending || h.live(m) != nil })
	}
	if len(waiting()) == 0 && h.made+3 <= modelMost {
		h.do(t, h.opCreate(t))
	}
	among := waiting()
	if len(tombstones) > 0 && (len(among) == 0 || rapid.Bool().Draw(t, "of a tombstone")) {
		among = tombstones
	}
	if len(among) == 0 {
		t.Skip("there is nothing that could arrive")
	}
	m := rapid.SampledFrom(among).Draw(t, "unnoticed media")
	body := m.content(0)
	if rapid.IntRange(0, 3).Draw(t, "as declared") == 3 {
		body = append(body, 'x')
	}
	h.do(t, modelOp{what: fmt.Sprintf("%q arrives for media %d, and nobody is told", body, m.n), run: func() {
		h.emu.Faults().DropNotifications(1)
		h.overwrite(m, body)
	}})
	h.do(t, h.opReconcile(t))
}

// reconcile makes a whole run, or goes on with one that somebody has left behind. One that somebody else works on in
// this step is left to them: the product would wait for it.
func (h *history) reconcile(r modelReconcile, then *meanwhile) {
	p := newModelProcess(h, r, then)
	defer p.cancel()
	config := reconcile.DefaultConfig()
	config.Settings, config.InFlight, config.Lease = r.settings, r.inFlight, modelLease
	config.Concurrency, config.HeadConcurrency, config.CheckpointEvery = 1, 1, 0 // so that it goes the same way the next time
	reconciler, err := reconcile.New(modelRunStore{h.store, p}, modelBucket{h.objects, p}, h.keys, config, h.Now, h.config.Logger, h.reconciles)
	if err != nil {
		h.found("%v", err)
		return
	}
	run, err := h.store.Active(h.ctx)
	if err != nil {
		h.found("looking for a run: %v", err)
		return
	}
	lone := run == nil && !h.together && then == nil && r.dies == 0 && !h.headFaults && !h.keyFaults
	var want modelOutcome
	if lone {
		if want, err = h.expect(r); err != nil {
			h.found("%v", err)
			return
		}
	}
	if run == nil {
		run, err = reconciler.Begin(p.ctx, r.settings)
		if errors.Is(err, reconcile.ErrActive) {
			h.count("reconciliations that met another", 1)
			return
		}
	}
	if err == nil {
		if !h.work(run) {
			h.count("reconciliations that met another", 1)
			return
		}
		defer h.rest(run)
		run, err = reconciler.Work(p.ctx, run.ID, nil)
	}
	switch {
	case p.died():
		h.count("reconciliations left in the middle", 1)
		if !h.left {
			h.Advance(modelLease + time.Second) // its leases end
		}
	case err != nil && !h.headFaults:
		h.found("reconciling: %v", err)
	case err == nil:
		h.count("reconciliations", 1)
		h.count("strays removed", int(run.Counts[reconcile.CountRemoved]))
		h.count("landings by reconciliation", int(run.Counts[reconcile.CountLanded]))
		if lone {
			want.compare(h, run)
		}
	}
}

// work takes note that somebody works on a run, and reports false when somebody else does.
func (h *history) work(run *reconcile.Run) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.runs[run.ID]
	if m == nil {
		m = &modelRun{Settings: run.Settings, at: run.StartedAt}
		h.runs[run.ID] = m
	}
	if m.busy {
		return false
	}
	m.busy, m.last = true, h.step
	return true
}

func (h *history) rest(run *reconcile.Run) {
	if run == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.runs[run.ID]
	m.busy, m.seen = false, h.Now()
}

// actStray makes an object arrive whose tombstone was forgotten. When there is no such media, tombstones are forgotten.
func (h *history) actStray(t *rapid.T) {
	among := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.purged == 0 })
	if len(among) == 0 {
		h.one(t)
		for range 3 {
			h.do(t, modelOp{what: "a day passes, and a sweep", run: func() {
				h.Advance(h.config.Windows.Tombstone + time.Minute)
				h.sweep(1000, nil)
			}})
		}
		return
	}
	m := rapid.SampledFrom(among).Draw(t, "forgotten media")
	h.do(t, modelOp{what: fmt.Sprintf("an object of media %d arrives, which is forgotten", m.n), run: func() { h.overwrite(m, m.content(0)) }})
	h.count("strays", 1)
}

// mend makes reconciliations until everything that no row explains is gone: two, a grace period apart.
func (h *history) mend(t *rapid.T) {
	r := modelReconcile{settings: reconcile.DefaultSettings(), shards: 2}
	r.settings.Policy, r.settings.MaxStrayShare = reconcile.PolicyDelete, 1
	if run, err := h.store.Active(h.ctx); err != nil {
		h.found("looking for a run: %v", err)
	} else if run != nil {
		h.do(t, modelOp{what: "go on with what was left", run: func() { h.reconcile(r, nil) }})
	}
	for i := range 2 {
		h.do(t, modelOp{what: r.String(), run: func() { h.reconcile(r, nil) }})
		if i == 0 {
			h.do(t, modelOp{what: "a grace period passes", run: func() { h.Advance(r.settings.Grace) }})
		}
	}
	h.mended = true
	h.do(t, modelOp{what: "consume all", run: func() { h.consumeOrFind(1<<30, 100, nil) }}) // of copies into quarantine
}

// modelQuarantine is where the strays of a history are moved.
var modelQuarantine = reconcile.DefaultSettings().Quarantine

// records holds what reconciliations have recorded against what they may: no media that has landed lacks its object
// here, whatever is done at once, and no stray has a row.
func (h *history) records() {
	if len(h.runs) == 0 {
		return
	}
	var keys []string
	err := h.db.NewRaw(`SELECT key FROM coatcheck.missing UNION ALL
		SELECT s.key FROM coatcheck.stray AS s JOIN coatcheck.media AS m ON m.key = s.key WHERE s.removed_at IS NULL`).Scan(h.ctx, &keys)
	if err != nil {
		h.found("reading what reconciliations have recorded: %v", err)
	}
	for _, k := range keys {
		h.found("a reconciliation calls %s missing, and it was not, or a stray, and it has a row", k)
	}
}

// vanished judges what has gone from the bucket in this step.
func (h *history) vanished(before map[string][]stored) {
	for key, were := range before {
		id, ok := h.keys.ID(key)
		m := h.byID[id]
		if !ok || m == nil {
			continue // check finds it
		}
		for _, o := range were {
			still := func(n stored) bool { return n.Version == o.Version } // an object that was replaced counts
			if slices.ContainsFunc(h.there[key], still) {
				continue
			}
			switch {
			case m.purged > 0 && m.purged < h.step:
				h.removed(m, o)
			case m.deleting == 0:
				h.found("%s: version %s of its object is gone, and it was never deleted (R1)", m, o.Version)
			}
		}
	}
}

// removed holds the removal of a stray against R7: it is older than the grace period, and another run has seen it as long
// ago, or could have. The same contents stored twice at the same time are the same to everybody.
func (h *history) removed(m *modelMedia, o stored) {
	now := h.Now()
	for id, r := range h.runs {
		if r.last != h.step || !r.Removes() || now.Sub(o.Modified) < r.Grace && o.Latest {
			continue
		}
		for other, e := range h.runs {
			if other != id && (!e.seen.Before(o.Modified) || !o.Latest) && now.Sub(e.at) >= r.Grace {
				return
			}
		}
	}
	h.found("%s: version %s of its object is gone, and no reconciliation could remove it yet (R7)", m, o.Version)
}

// checkQuarantine judges an object in quarantine.
func (h *history) checkQuarantine(key string) {
	_, moved, _ := strings.Cut(key[len(modelQuarantine):], "/") // below the time at which it was stored
	id, ok := h.keys.ID(moved)
	m := h.byID[id]
	if !ok || m == nil || m.purged == 0 {
		h.found("%s is in quarantine, and was no stray (R1)", key)
		return
	}
	for _, o := range h.there[key] {
		if !slices.ContainsFunc(m.puts, func(p modelPut) bool { return p.etag == o.ETag }) {
			h.found("%s is in quarantine with the etag %s, which nobody uploaded", key, o.ETag)
		}
	}
	h.counts["strays in quarantine"]++
}

// forgetRuns forgets all that reconciliations have recorded.
func (w *world) forgetRuns(ctx context.Context) error {
	for _, table := range []string{"reconciliation", "stray", "missing", "adoption", "adopted_prefix"} {
		if _, err := w.db.ExecContext(ctx, "DELETE FROM coatcheck."+table); err != nil {
			return fmt.Errorf("forgetting the table %s: %w", table, err)
		}
	}
	return nil
}

type modelRuns map[uuid.UUID]*modelRun
