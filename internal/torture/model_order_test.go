package torture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestOrder does the same twice: once every notification arrives at once and once, and once each arrives when it will,
// in any order, up to three times. What confirmations are told and what is left must be the same (R5). Other callers are
// told of what is known by then: a release of what is not known to be rejected yet is answered "not confirmed".
//
// Contents do not change here, and no window passes before the end: on a store that lets objects be overwritten, what a
// confirmation confirms is what is known by then, and a claim window begins when the landing is known.
func TestOrder(t *testing.T) {
	w := newWorld(t, worldConfig{})
	if err := installAudit(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	modelRounds(t, share(3)*2/10, func(r *rapid.T, failed func([]string)) { modelOrder(r, w, failed) })
}

// orderStep is one thing to do with one media.
type orderStep struct {
	Do    string
	Media int
	Claim string
}

func modelOrder(t *rapid.T, w *world, failed func([]string)) {
	const n = 3
	script := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) orderStep {
		return orderStep{
			Do: rapid.SampledFrom([]string{
				"upload", "confirm", "upload", "confirm", "begin", "end", "arrive", "misfit", "cancel", "release", "delete", "sweep",
			}).Draw(t, "do"),
			Media: rapid.IntRange(0, n-1).Draw(t, "media"),
			Claim: modelClaim(t),
		}
	}), 3, 14).Draw(t, "script")
	versioned := rapid.Bool().Draw(t, "versioned")
	// When each notification arrives: so many steps after it was sent, for each time that it does.
	delays := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 15), 1, 3), len(script), len(script)).Draw(t, "delays")

	prompt := orderRun(t, w, versioned, n, script, nil, failed)
	other := orderRun(t, w, versioned, n, script, delays, failed)
	if prompt != other {
		failed([]string{fmt.Sprint(script), prompt, other})
		t.Fatalf("in order:\n%s\notherwise:\n%s\n(R5)", prompt, other)
	}
	total.add("histories", 1)
	total.add("histories in two orders", 1)
}

// orderRun does what the script says in a new history, and returns what callers were told and what is left. Without
// delays every notification is consumed at once.
func orderRun(t *rapid.T, w *world, versioned bool, n int, script []orderStep, delays [][]int, failed func([]string)) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, err := newHistory(ctx, w, versioned)
	if err != nil {
		t.Fatal(err)
	}
	h.failed = failed
	defer func() {
		if err := h.end(); err != nil {
			t.Error(err)
		}
	}()
	var ms []*modelMedia
	for range n {
		ms = append(ms, newModelMedia(h.made, h.keys, modelSpec{Size: 2, Type: "image/jpeg"}))
		h.made++
	}
	h.do(t, modelOp{what: "create", run: func() { h.create(ms) }})
	mail := &orderMail{h: h, delays: delays, due: map[int][]string{}}
	for i, step := range script {
		h.do(t, h.orderOp(ms[step.Media], step))
		if delays == nil {
			h.do(t, modelOp{what: "consume all", run: func() { h.consumeOrFind(1<<30, 100, nil) }})
			continue
		}
		h.do(t, modelOp{what: "notifications arrive", run: func() { mail.deliver(i) }})
	}
	if delays != nil {
		h.do(t, modelOp{what: "the other notifications arrive", run: mail.rest})
	}
	for _, s := range h.slow {
		s.cut()
	}
	h.slow = nil
	h.settle(t)
	h.check(t)
	total.add("transitions", h.counts["transitions"])
	out := slices.DeleteFunc(h.answers, func(a string) bool { return !strings.HasPrefix(a, "confirm") })
	for _, m := range h.media {
		row, err := h.store.Get(ctx, modelScope, m.id)
		if err != nil {
			t.Fatal(err)
		}
		held := ""
		if row.State == media.StateConfirmed {
			held = row.ETag
		}
		out = append(out, fmt.Sprintf("media %d is %s by %q, %s, overwritten %t, objects %d",
			m.n, row.State, row.Claim, held, !row.OverwrittenAt.IsZero(), len(h.there[m.key])))
	}
	return strings.Join(out, "\n")
}

func (h *history) orderOp(m *modelMedia, s orderStep) modelOp {
	o := modelOp{what: fmt.Sprintf("%s media %d", s.Do, m.n)}
	switch s.Do {
	case "upload":
		o.run = func() { h.upload(m, 0) }
	case "arrive":
		o.run = func() {
			if !slices.ContainsFunc(m.puts, func(p modelPut) bool { return !p.right }) { // else it would change
				h.overwrite(m, m.content(0))
			}
		}
	case "misfit":
		o.run = func() {
			if h.live(m) == nil && m.held == nil { // one of another size, in place of the right one
				h.overwrite(m, append(m.content(0), 'x'))
			}
		}
	case "begin":
		o.run = func() { h.begin(m) }
	case "end":
		o.run = func() {
			if i := slices.IndexFunc(h.slow, func(s *modelSlow) bool { return s.media == m }); i >= 0 {
				s := h.slow[i]
				h.slow = slices.Delete(h.slow, i, i+1)
				h.finish(s)
			}
		}
	case "confirm":
		o.run = func() { h.confirm([]*modelMedia{m}, s.Claim, nil) }
	case "sweep":
		o.run = func() { h.sweep(1000, nil) }
	default:
		claim := ""
		if s.Do == string(media.EventRelease) {
			claim = s.Claim
		}
		o.run = func() { h.discard(m, media.Event(s.Do), claim) }
	}
	return o
}

// orderMail takes notifications from the queue and puts them back when they are to arrive.
type orderMail struct {
	h      *history
	delays [][]int
	sent   int
	due    map[int][]string // bodies by step
}

// deliver takes what the step has sent, and delivers what is due after it.
func (o *orderMail) deliver(step int) {
	for {
		messages, err := o.h.queue.Receive(o.h.ctx, 10, 0, time.Minute)
		if err != nil {
			o.h.found("%v", err)
			return
		}
		if len(messages) == 0 {
			break
		}
		var receipts []string
		for _, m := range messages {
			for _, d := range o.delays[o.sent%len(o.delays)] {
				o.due[step+d] = append(o.due[step+d], m.Body)
			}
			o.sent++
			receipts = append(receipts, m.Receipt)
		}
		if failures := o.h.queue.Delete(o.h.ctx, receipts); len(failures) > 0 {
			o.h.found("%v", failures[0].Err)
		}
	}
	o.send(step)
}

func (o *orderMail) send(step int) {
	bodies := o.due[step]
	delete(o.due, step)
	slices.Reverse(bodies)
	for _, body := range bodies {
		_, err := o.h.sqs.SendMessage(o.h.ctx, &sqs.SendMessageInput{QueueUrl: &o.h.queueURL, MessageBody: aws.String(body)})
		if err != nil {
			o.h.found("%v", err)
		}
	}
	if len(bodies) > 0 {
		o.h.consumeOrFind(1<<30, 2, nil)
	}
}

// rest delivers what is not due yet, the last first.
func (o *orderMail) rest() {
	var steps []int
	for step := range o.due {
		steps = append(steps, step)
	}
	slices.Sort(steps)
	for _, step := range slices.Backward(steps) {
		o.send(step)
	}
}
