package torture

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
)

func (h *history) opCreate(t *rapid.T) modelOp {
	n := rapid.IntRange(1, 3).Draw(t, "uploads")
	if h.made+n > modelMost {
		t.Skip("there are enough")
	}
	var (
		ms   []*modelMedia
		keys = map[string]bool{}
	)
	for range n {
		spec := modelSpec{
			Size:     rapid.IntRange(2, 3).Draw(t, "size"),
			Type:     "image/jpeg",
			Checksum: rapid.Bool().Draw(t, "checksum"),
			Key:      rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(t, "idempotency key"),
		}
		if keys[spec.Key] {
			spec.Key = ""
		}
		keys[spec.Key] = true
		ms = append(ms, newModelMedia(h.made, h.keys, spec))
		h.made++
	}
	return modelOp{what: fmt.Sprintf("create %d media from %d on", n, ms[0].n), run: func() { h.create(ms) }}
}

// opCreateAgain repeats a creation by its idempotency key, as a client does that has had no answer.
func (h *history) opCreateAgain(t *rapid.T) modelOp {
	among := slices.DeleteFunc(slices.Clone(h.media), func(m *modelMedia) bool { return !m.again() })
	if len(among) == 0 || h.made == modelMost {
		t.Skip("none has an idempotency key")
	}
	was := rapid.SampledFrom(among).Draw(t, "again")
	m := newModelMedia(h.made, h.keys, was.spec)
	h.made++
	return modelOp{what: fmt.Sprintf("create media %d again", was.n), run: func() { h.create([]*modelMedia{m}) }}
}

// create does what CreateUpload does.
func (h *history) create(ms []*modelMedia) {
	var (
		drafts   []*media.Media
		known    = make([]*modelMedia, len(ms))
		mismatch bool
	)
	for i, m := range ms {
		drafts = append(drafts, m.draft(h.Now().Add(modelURLLife)))
		known[i] = h.keyed(m.spec.Key)
		mismatch = mismatch || known[i] != nil && known[i].spec != m.spec
	}
	rows, err := h.store.Create(h.ctx, drafts)
	if refused, ok := errors.AsType[*media.BatchError](err); ok {
		for _, item := range refused.Items {
			if item != nil && (item.Code != media.CodeIdempotencyMismatch || !mismatch && !h.together) {
				h.found("creating media: %v", item)
			}
		}
		return
	}
	if err != nil {
		h.found("creating media: %v", err)
		return
	}
	if mismatch && !h.together {
		h.found("creating media: the same idempotency key served for another upload")
	}
	for i, row := range rows {
		request := media.Presigned{}
		if row.State == media.StatePending {
			if request, err = h.objects.PresignPut(h.ctx, row, modelURLLife); err != nil {
				h.found("presigning: %v", err)
			}
		}
		h.created(ms[i], known[i], row, request)
	}
}

// keyed returns the media that an idempotency key stands for.
func (h *history) keyed(key string) *modelMedia {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.media {
		if key != "" && m.spec.Key == key && m.state.Live() {
			return m
		}
	}
	return nil
}

func (h *history) created(m, known *modelMedia, row *media.Media, request media.Presigned) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.byID[row.ID]; was != nil {
		m = was
	} else if row.ID != m.id {
		h.wrong = append(h.wrong, fmt.Sprintf("creating media %d: got an unknown one, %s", m.n, row.ID))
		return
	} else {
		h.byID[m.id], h.media = m, append(h.media, m)
	}
	if known != nil && m != known && !h.together {
		h.wrong = append(h.wrong, fmt.Sprintf("creating media %d: its idempotency key stands for another", m.n))
	}
	if row.State == media.StatePending {
		m.request = request
		if end := h.began.Add(h.config.Windows.Upload); end.After(m.windowEnd) {
			m.windowEnd = end
		}
	}
}

func (h *history) opConfirm(t *rapid.T) modelOp { return h.opConfirmThen(t, nil) }

func (h *history) opConfirmThen(t *rapid.T, then *meanwhile) modelOp {
	h.one(t)
	claim := modelClaim(t)
	indices := rapid.SliceOfNDistinct(rapid.IntRange(0, len(h.media)-1), 1, min(3, len(h.media)), rapid.ID[int]).Draw(t, "batch")
	ms := make([]*modelMedia, len(indices))
	what := "confirm media"
	for i, index := range indices {
		ms[i] = h.media[index]
		what += fmt.Sprintf(" %d", ms[i].n)
	}
	return modelOp{what: what + " with " + claim, run: func() { h.confirm(ms, claim, then) }}
}

func (h *history) confirm(ms []*modelMedia, claim string, then *meanwhile) {
	claims := make([]media.Claim, len(ms))
	want := make([]media.Code, len(ms))
	refuse := false
	h.mu.Lock()
	for i, m := range ms {
		claims[i] = media.Claim{MediaID: m.id, Claim: claim}
		m.attempts[claim] = h.step
		want[i] = h.confirmable(m, claim)
		refuse = refuse || want[i] != ""
	}
	h.mu.Unlock()
	rows, err := h.claimerThen(then).Confirm(h.ctx, modelScope, claims)
	refused, isBatch := errors.AsType[*media.BatchError](err)
	h.answered("confirm", ms, refused, code(err))
	switch {
	case err != nil && !isBatch:
		if !h.headFaults {
			h.found("confirming: %v", err)
		}
		return
	case isBatch && h.together:
		return
	case isBatch:
		for i, item := range refused.Items {
			got := media.Code("")
			if item != nil {
				got = item.Code
			}
			if got != want[i] {
				h.found("confirming %s with %s: it was refused as %q, want %q", ms[i], claim, got, want[i])
			}
		}
		return
	case refuse && !h.together:
		h.found("confirming %v with %s: it was not refused, want %q", ms, claim, want)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, m := range ms {
		if m.held == nil {
			m.held = &modelHold{claim, rows[i].ETag, rows[i].VersionID}
			h.counts["objects confirmed"]++
		}
		if got := (modelHold{claim, rows[i].ETag, rows[i].VersionID}); *m.held != got {
			h.wrong = append(h.wrong, fmt.Sprintf("confirming %s: got %+v, and before %+v", m, got, *m.held))
		}
	}
}

// answered takes note of what a caller was told.
func (h *history) answered(what string, ms []*modelMedia, refused *media.BatchError, got media.Code) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, m := range ms {
		if refused != nil {
			got = ""
			if refused.Items[i] != nil {
				got = refused.Items[i].Code
			}
		}
		h.answers = append(h.answers, fmt.Sprintf("%s of media %d: %q", what, m.n, got))
	}
}

// confirmable is the code with which a confirmation is to be refused. The caller holds h.mu.
func (h *history) confirmable(m *modelMedia, claim string) media.Code {
	switch m.state {
	case "":
		return media.CodeNotFound
	case media.StateUploaded:
		return ""
	case media.StateConfirmed:
		if m.claim != claim {
			return media.CodeClaimConflict
		}
		return ""
	case media.StatePending:
		o := h.live(m)
		switch {
		case o == nil:
			return media.CodeNotLanded
		case o.Size == int64(m.spec.Size):
			return "" // whoever confirms before the notification arrives is never told no
		}
	}
	return media.CodeGone
}

func (h *history) opDiscard(e media.Event) func(*rapid.T) modelOp {
	return func(t *rapid.T) modelOp {
		m, claim := h.one(t), ""
		if e == media.EventRelease {
			claim = modelClaim(t)
		}
		return modelOp{what: fmt.Sprintf("%s media %d %s", e, m.n, claim), run: func() { h.discard(m, e, claim) }}
	}
}

func (h *history) discard(m *modelMedia, e media.Event, claim string) {
	h.mu.Lock()
	want := discardable(m, e, claim)
	h.mu.Unlock()
	_, err := h.store.Discard(h.ctx, modelScope, m.id, e, claim)
	got := code(err)
	h.answered(string(e), []*modelMedia{m}, nil, got)
	if got == "fault" {
		h.found("%s: %v", e, err)
	}
	if got != want && !h.together {
		h.found("%s of %s: got %q, want %q", e, m, got, want)
	}
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.wishes[e] = h.step
	m.freed = m.freed || e != media.EventCancel
}

// discardable is the code with which a wish to be rid of the media is to be refused.
func discardable(m *modelMedia, e media.Event, claim string) media.Code {
	switch {
	case m.state == "":
		return media.CodeNotFound
	case e == media.EventRelease && m.claim != "" && m.claim != claim:
		return media.CodeClaimConflict
	case e == media.EventRelease && m.state.Live() && m.state != media.StateConfirmed:
		return media.CodeNotConfirmed
	case e == media.EventRelease && m.claim == "":
		return media.CodeGone
	case e == media.EventCancel && m.state == media.StateConfirmed:
		return media.CodeConfirmed
	}
	return ""
}
