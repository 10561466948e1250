package torture

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// ops are the things that can be done, by name. Each makes its choices and returns what is then to be run, since
// several may be run at once and choices are made by one goroutine. Choices shrink towards the first and the least.
func (h *history) ops() map[string]func(*rapid.T) modelOp {
	return map[string]func(*rapid.T) modelOp{
		"create":        h.opCreate,
		"create again":  h.opCreateAgain,
		"upload":        h.opUpload,
		"misuse":        h.opMisuse,
		"overwrite":     h.opOverwrite,
		"arrive":        h.opArrive,
		"begin upload":  h.opBegin,
		"end upload":    h.opFinish,
		"confirm":       h.opConfirm,
		"cancel":        h.opDiscard(media.EventCancel),
		"delete":        h.opDiscard(media.EventDelete),
		"release":       h.opDiscard(media.EventRelease),
		"consume":       h.opConsume,
		"sweep":         h.opSweep,
		"wait":          h.opWait,
		"wait a little": h.opWaitALittle,
		"notifications": h.opNotifications,
		"faults":        h.opFaults,
		"reconcile":     h.opReconcile,
	}
}

// opsAtOnce are those that may happen at the same time. Those that change what S3 does to requests that are under way
// are not among them.
var opsAtOnce = []string{
	"confirm", "arrive", "sweep", "consume", "upload", "delete", "release", "cancel", "overwrite", "end upload", "create",
	"create again", "wait a little", "reconcile",
}

// actions are the steps of a history: each thing alone, and two to four at once.
func (h *history) actions() map[string]func(*rapid.T) {
	ops := h.ops()
	actions := map[string]func(*rapid.T){}
	for name, op := range ops {
		actions[name] = func(t *rapid.T) { h.do(t, op(t)) }
	}
	// What happens most in life has two more chances.
	actions["upload, too"], actions["confirm, too"] = actions["upload"], actions["confirm"]
	actions["upload and confirm"] = func(t *rapid.T) {
		m, claim := h.one(t), modelClaim(t)
		h.do(t, modelOp{what: fmt.Sprintf("upload media %d", m.n), run: func() { h.upload(m, 0) }})
		h.do(t, modelOp{what: fmt.Sprintf("confirm media %d with %s", m.n, claim), run: func() { h.confirm([]*modelMedia{m}, claim, nil) }})
	}
	actions["stray"] = h.actStray
	actions["unnoticed"], actions["unnoticed, too"] = h.actUnnoticed, h.actUnnoticed
	actions["landing while it lists"] = func(t *rapid.T) { h.do(t, h.opLandingAfterListing(t)) }
	actions["reconcile in two"] = func(t *rapid.T) { h.do(t, h.opInTwo(t)) }
	actions["reconcile, too"] = actions["reconcile"]
	actions["meanwhile"] = func(t *rapid.T) { h.do(t, h.opMeanwhile(t)) }
	actions["at once"] = func(t *rapid.T) {
		h.one(t)
		things, _ := h.some(t, 2, 4)
		h.do(t, things...)
	}
	return actions
}

// one chooses a media, or skips the step while there is none.
func (h *history) one(t *rapid.T) *modelMedia {
	if len(h.media) == 0 {
		t.Skip("there is no media yet")
	}
	among := h.media
	if live := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return !m.state.Live() }); len(live) > 0 {
		if rapid.IntRange(0, 3).Draw(t, "live") < 3 {
			among = live
		}
	}
	return among[rapid.IntRange(0, len(among)-1).Draw(t, "media")]
}

func modelClaim(t *rapid.T) string {
	return rapid.SampledFrom([]string{"post/1", "post/2"}).Draw(t, "claim")
}

func (h *history) opUpload(t *rapid.T) modelOp {
	m, variant := h.one(t), rapid.IntRange(0, 1).Draw(t, "content")
	return modelOp{what: fmt.Sprintf("upload content %d of media %d", variant, m.n), run: func() { h.upload(m, variant) }}
}

func (h *history) opMisuse(t *rapid.T) modelOp {
	m, how := h.one(t), rapid.SampledFrom([]string{"size", "type", "content"}).Draw(t, "how")
	if how == "content" && !m.spec.Checksum {
		how = "size" // any content fits
	}
	return modelOp{what: fmt.Sprintf("upload another %s for media %d", how, m.n), run: func() { h.misuse(m, how) }}
}

func (h *history) opOverwrite(t *rapid.T) modelOp {
	m, variant := h.one(t), rapid.IntRange(0, 3).Draw(t, "content")
	body := m.content(variant)
	switch {
	case variant == 3:
		body = append(body, 'x') // a size that nobody declared
	case m.spec.Checksum:
		body = m.content(0) // the signature lets no other through
	}
	return modelOp{what: fmt.Sprintf("overwrite media %d by %q", m.n, body), run: func() { h.overwrite(m, body) }}
}

// opArrive is the end of an upload that began in time, for a media that is gone or about to be, and of which the consumer
// learns at once.
func (h *history) opArrive(t *rapid.T) modelOp {
	if len(h.media) == 0 {
		t.Skip("there is no media yet")
	}
	now := h.Now()
	among := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return m.state.Live() && now.Before(m.windowEnd) })
	if len(among) == 0 {
		among = h.media
	}
	m := rapid.SampledFrom(among).Draw(t, "late media")
	return modelOp{what: fmt.Sprintf("an object of media %d arrives, and the consumer learns of it", m.n), run: func() { h.arrive(m) }}
}

func (h *history) arrive(m *modelMedia) {
	h.overwrite(m, m.content(0))
	h.consumeOrFind(1<<30, 100, nil)
}

func (h *history) opBegin(t *rapid.T) modelOp {
	m := h.one(t)
	return modelOp{what: fmt.Sprintf("begin to upload media %d", m.n), run: func() { h.begin(m) }}
}

func (h *history) opFinish(t *rapid.T) modelOp {
	if len(h.slow) == 0 {
		t.Skip("no upload is under way")
	}
	i := rapid.IntRange(0, len(h.slow)-1).Draw(t, "upload")
	s := h.slow[i]
	h.slow = slices.Delete(h.slow, i, i+1)
	return modelOp{what: fmt.Sprintf("end the upload of media %d", s.media.n), run: func() { h.finish(s) }}
}

func (h *history) opConsume(t *rapid.T) modelOp {
	most := rapid.SampledFrom([]int{1000, 1, 3}).Draw(t, "messages")
	batch := rapid.SampledFrom([]int{100, 1, 2}).Draw(t, "batch")
	return modelOp{what: fmt.Sprintf("consume %d messages, %d at a time", most, batch), run: func() { h.consumeOrFind(most, batch, nil) }}
}

func (h *history) consumeOrFind(most, batch int, then *meanwhile) {
	if err := h.consume(h.ctx, h.record, most, batch, then); err != nil {
		h.found("%v", err)
	}
}

func (h *history) opSweep(t *rapid.T) modelOp {
	batch := rapid.SampledFrom([]int{1000, 1, 2}).Draw(t, "batch")
	return modelOp{what: fmt.Sprintf("sweep, %d at a time", batch), run: func() { h.sweep(batch, nil) }}
}

func (h *history) sweep(batch int, then *meanwhile) {
	s, err := h.newSweeper(h.store, meanwhileObjects{h.objects, then}, func(c *sweep.Config) {
		c.BatchSize, c.Concurrency, c.HeadConcurrency = batch, 1, 1 // one after another, so that it goes the same way the next time
	})
	if err != nil {
		h.found("%v", err)
		return
	}
	r, err := s.RunOnce(h.ctx)
	if err != nil && !h.headFaults && !h.keyFaults {
		h.found("sweeping: %v", err)
	}
	if r.HeadErrors > 0 && !h.headFaults || r.DeleteErrors > 0 && !h.keyFaults {
		h.found("sweeping: %+v", r)
	}
	h.count("sweeps", 1)
}

func (h *history) opWait(t *rapid.T) modelOp {
	d := rapid.SampledFrom([]time.Duration{
		61 * time.Second, 6 * time.Minute, 6 * time.Minute, 59 * time.Minute, 61 * time.Minute, 119 * time.Minute, 25 * time.Hour,
	}).Draw(t, "time")
	return modelOp{what: fmt.Sprintf("wait %v", d), run: func() { h.Advance(d) }}
}

// opWaitALittle may happen while requests are under way: S3 refuses those that were signed 15 minutes ago, and there may
// be three of this at once.
func (h *history) opWaitALittle(*rapid.T) modelOp {
	return modelOp{what: "wait 4m", run: func() { h.Advance(4 * time.Minute) }}
}

func (h *history) opNotifications(t *rapid.T) modelOp {
	f := h.emu.Faults()
	ways := map[string]func(){
		"lose the next":         func() { f.DropNotifications(1) },
		"lose the next two":     func() { f.DropNotifications(2) },
		"double the next two":   func() { f.DoubleNotifications(2) },
		"reverse the next two":  func() { f.ReorderNotifications(2) },
		"hold all":              f.HoldNotifications,
		"release what was held": func() { f.ReleaseNotifications() },
	}
	names := []string{
		"release what was held", "lose the next", "hold all", "lose the next two", "double the next two", "reverse the next two",
	}
	way := rapid.SampledFrom(names).Draw(t, "way")
	return modelOp{what: "notifications: " + way, run: ways[way]}
}

func (h *history) opFaults(t *rapid.T) modelOp {
	n := rapid.IntRange(1, 3).Draw(t, "times")
	if rapid.Bool().Draw(t, "of deletions") {
		return modelOp{what: fmt.Sprintf("S3 fails to delete the next %d keys", n), run: func() {
			h.keyFaults = true
			h.emu.Faults().FailKeys("", n, "InternalError")
		}}
	}
	return modelOp{what: fmt.Sprintf("S3 fails the next %d HEADs", n), run: func() {
		h.headFaults = true
		h.emu.Faults().Fail(awsemu.Match{Operation: "HeadObject"}, n, 503, "SlowDown")
	}}
}

// code is the code of a refusal, empty when there is none, and "fault" for everything else.
func code(err error) media.Code {
	if e, ok := errors.AsType[*media.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return "fault"
	}
	return ""
}
