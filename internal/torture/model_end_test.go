package torture

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// close lets everything arrive and every window pass, and holds the rules against what is left.
func (h *history) close(t *rapid.T) {
	h.do(t, modelOp{what: "all faults end, and what is held arrives", run: func() {
		h.emu.Faults().Clear()
		h.headFaults, h.keyFaults = false, false
		for _, s := range h.slow {
			s.cut()
		}
		h.slow = nil
	}})
	h.settle(t)
	h.check(t)
	h.again(t)
	h.check(t)
	h.do(t, modelOp{what: "tombstones are forgotten", run: func() { h.Advance(h.config.Windows.Tombstone + time.Hour) }})
	for range 3 {
		h.do(t, modelOp{what: "sweep", run: func() { h.sweep(1000, nil) }})
	}
	for _, m := range h.media {
		if m.state == media.StateDeleted {
			h.found("%s is still there after the tombstone window", m)
		}
	}
	h.check(t)
	h.mend(t)
	h.check(t)
	h.books()
	h.verdict(t)
	for _, m := range h.media {
		for _, p := range m.puts {
			if !h.received(m, p) {
				h.counts["notifications lost"]++
			}
		}
	}
}

// settle consumes and sweeps until nothing is on its way any more.
func (h *history) settle(t *rapid.T) {
	for range 20 {
		h.do(t, modelOp{what: "consume all", run: func() { h.consumeOrFind(1<<30, 100, nil) }})
		h.do(t, modelOp{what: "sweep", run: func() { h.sweep(1000, nil) }})
		if !slices.ContainsFunc(h.media, func(m *modelMedia) bool {
			return m.state == media.StatePending || m.state == media.StateUploaded || m.state == media.StateDeleting
		}) {
			return
		}
		h.do(t, modelOp{what: "wait", run: func() { h.Advance(61 * time.Minute) }})
	}
	h.found("it does not end: after many sweeps some media are neither confirmed nor gone (R2)")
	h.verdict(t)
}

// again sends everything that has ever arrived twice more, in another order: nothing may change (R5).
func (h *history) again(t *rapid.T) {
	before, err := h.rows()
	if err != nil {
		t.Fatal(err)
	}
	order := rapid.Permutation(slices.Concat(h.record.order, h.record.order)).Draw(t, "order of repetition")
	h.do(t, modelOp{what: "everything arrives twice more", run: func() {
		for _, id := range order {
			_, err := h.sqs.SendMessage(h.ctx, &sqs.SendMessageInput{QueueUrl: &h.queueURL, MessageBody: aws.String(h.record.bodies[id])})
			if err != nil {
				h.found("sending a message again: %v", err)
			}
		}
		h.consumeOrFind(1<<30, 3, nil)
		h.sweep(1000, nil)
	}})
	after, err := h.rows()
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		if i >= len(after) || before[i] != after[i] {
			h.found("after everything arrived twice more, a row is %v, and was %q (R5)", after[i:], before[i])
			break
		}
	}
	h.verdict(t)
}

// rows are all media as text.
func (h *history) rows() ([]string, error) {
	var rows []string
	err := h.db.NewRaw("SELECT m::text FROM coatcheck.media AS m ORDER BY id").Scan(h.ctx, &rows)
	return rows, err
}

// check holds rows, bucket and queues against the rules, when nothing is under way.
func (h *history) check(t *rapid.T) {
	for _, m := range h.media {
		if m.held != nil && !m.freed {
			h.checkHeld(m)
			continue
		}
		if m.state != "" && m.state != media.StateDeleted {
			h.found("%s is %s, and nobody holds it (R2)", m, m.state)
		}
		for _, o := range h.there[m.key] {
			h.checkLeft(m, o)
		}
	}
	for key := range h.there {
		if strings.HasPrefix(key, modelQuarantine) {
			h.checkQuarantine(key)
			continue
		}
		id, ok := h.keys.ID(key)
		if !ok || h.byID[id] == nil {
			h.found("the bucket has %s, which nobody uploaded", key)
		}
	}
	d, err := h.queue.Depths(h.ctx)
	if err != nil || d.Queue.Visible+d.Queue.InFlight+d.DeadLetters.Visible > 0 {
		h.found("the queues hold %+v, %v (R4)", d, err)
	}
	h.verdict(t)
}

// checkHeld holds a CONFIRMED media against R1, R2 and R3.
func (h *history) checkHeld(m *modelMedia) {
	now := h.live(m)
	if now == nil {
		h.found("%s is confirmed, and its object is gone (R1)", m)
		return
	}
	for _, o := range h.there[m.key] {
		if o.Marker || m.put(o.Version, o.ETag) == nil {
			h.found("%s: the bucket has version %s (a delete marker: %t), which nobody uploaded (R2)", m, o.Version, o.Marker)
		}
	}
	body, err := h.download(m)
	if err != nil {
		h.found("downloading %s: %v (R1)", m, err)
		return
	}
	want := m.put(m.held.version, m.held.etag)
	if want == nil || !want.right {
		h.found("%s: what was confirmed (%+v) was never uploaded, or not as declared (R3)", m, *m.held)
		return
	}
	if now.ETag != m.held.etag {
		h.counts["overwritten after they were confirmed"]++
		if (h.mended || h.record.count(m.key, now.ETag) > 0) && !m.flagged {
			h.found("%s was confirmed with etag %s and is %s now, and is not flagged (R3)", m, m.held.etag, now.ETag)
		}
		if !h.versioned {
			return // what was confirmed is not to be had any more
		}
	}
	if !bytes.Equal(body, want.body) {
		h.found("downloading %s: got %q, confirmed was %q (R3)", m, body, want.body)
	}
	if m.flagged && !slices.ContainsFunc(m.puts, func(p modelPut) bool { return p.etag != m.held.etag }) {
		h.found("%s is flagged as overwritten, and was not", m)
	}
}

// checkLeft judges an object that no claim explains. Two are expected. A PUT that ended after its media had begun to be
// deleted, and whose notification was lost, waits for the purge of the tombstone. One that ended when even that was
// over is for the reconciliation to find. Once reconciliations have been made, there is no exception (R2).
func (h *history) checkLeft(m *modelMedia, o stored) {
	p := m.put(o.Version, o.ETag)
	switch {
	case o.Marker || p == nil:
		h.found("%s: the bucket has version %s (a delete marker: %t), which nobody uploaded (R2)", m, o.Version, o.Marker)
	case m.purged > 0 && p.step >= m.purged && !h.mended:
		h.counts["strays left for reconciliation"]++
	case m.state == media.StateDeleted && p.step >= m.deleting && !h.received(m, *p) && !h.mended:
		h.counts["late objects left for the purge"]++
	default:
		h.found("%s: the bucket has %q, which nobody holds (R2)", m, p.body)
	}
}

// received reports whether the notification of an upload has arrived. Two uploads of the same content are told apart
// by their number only.
func (h *history) received(m *modelMedia, p modelPut) bool {
	same := 0
	for _, o := range m.puts {
		if o.etag == p.etag {
			same++
		}
	}
	return h.record.count(m.key, p.etag) >= same
}

// books compares the metrics with the audit.
func (h *history) books() {
	changes, err := readAudit(h.ctx, h.db, 0)
	if err != nil {
		h.found("%v", err)
		return
	}
	counted, err := h.enteredMetric()
	if err != nil {
		h.found("%v", err)
		return
	}
	for k, n := range h.entered {
		if counted[k] -= n; counted[k] == 0 {
			delete(counted, k)
		}
	}
	for _, d := range differences(entered(changes), counted) {
		h.found("%s", d)
	}
}
