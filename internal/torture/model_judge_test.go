package torture

import (
	"slices"

	"github.com/coatcheck/coatcheck/internal/media"
)

// judge holds one change of a row against what was done: a change must be in the table, and its event must have
// happened. before is what the bucket held when the step began.
func (h *history) judge(c change, before map[string][]stored) {
	m := h.byID[c.ID]
	if m == nil {
		h.found("%s: nothing made it", c)
		return
	}
	if wrong := c.illegal(); wrong != "" {
		h.found("%s, step %d: %s", c, h.step, wrong)
	}
	if c.moves() {
		h.count("transitions", 1)
		h.cause(m, c, before)
	}
	m.state, m.claim, m.flagged = c.State, c.Claim, c.Overwritten
	switch {
	case !c.moves():
	case c.State == media.StateUploaded:
		m.landed = h.began
	case c.State == media.StateDeleting && m.deleting == 0:
		m.deleting = h.step
	case c.State == media.StateDeleted:
		m.deleted = h.began
		h.count("objects deleted", 1)
	case c.State == "":
		m.purged = h.step
	}
}

// cause asks whether what the change says has happened has.
func (h *history) cause(m *modelMedia, c change, before map[string][]stored) {
	now := h.Now() // a step may have moved the clock
	some := func(test func(modelPut) bool) bool { return slices.ContainsFunc(m.puts, test) }
	is := func(e media.Event) bool { return slices.Contains(c.events(), e) }
	was := slices.ContainsFunc(before[m.key], func(o stored) bool { return o.Latest && !o.Marker })
	switch {
	case c.State == media.StateUploaded:
		if !some(func(p modelPut) bool { return p.right && p.etag == c.ETag }) {
			h.found("%s: nothing as declared was uploaded", c)
		}
	case c.State == media.StateConfirmed:
		if m.attempts[c.Claim] != h.step {
			h.found("%s: nobody confirmed it with %q in this step", c, c.Claim)
		}
		if !some(func(p modelPut) bool { return p.right && p.etag == c.ETag }) {
			h.found("%s: what was confirmed is not as declared (R3)", c)
		}
	case is(media.EventReject):
		if !some(func(p modelPut) bool { return !p.right }) {
			h.found("%s: nothing but what was declared was uploaded", c)
		}
	case is(media.EventRelease):
		if h.step != m.wishes[media.EventRelease] && h.step != m.wishes[media.EventDelete] {
			h.found("%s: nobody released or deleted it (R1)", c)
		}
	case is(media.EventCancel):
		if h.step != m.wishes[media.EventCancel] && h.step != m.wishes[media.EventDelete] {
			h.found("%s: nobody cancelled or deleted it", c)
		}
	case is(media.EventExpireUpload):
		if was || now.Before(m.windowEnd) {
			h.found("%s: it is %v before the end of the upload window, and an object is there: %t", c, m.windowEnd.Sub(now), was)
		}
	case is(media.EventExpireClaim):
		if end := m.landed.Add(h.config.Windows.Claim); now.Before(end) {
			h.found("%s: it is %v before the end of the claim window", c, end.Sub(now))
		}
	case is(media.EventLandLate):
		if len(m.puts) == 0 {
			h.found("%s: nothing was ever uploaded", c)
		}
	case c.State == media.StateDeleted:
		// What is still there must have come in this step.
		for _, o := range h.there[m.key] {
			if p := m.put(o.Version, o.ETag); p == nil || p.step != h.step {
				h.found("%s: version %s of its object is still there (R6)", c, o.Version)
			}
		}
	case c.State == "":
		if end := m.deleted.Add(h.config.Windows.Tombstone); now.Before(end) {
			h.found("%s: it is %v before the end of the tombstone window", c, end.Sub(now))
		}
	}
}

// keeps holds what confirmations have promised against the bucket (R1, R2, R3).
func (h *history) keeps(m *modelMedia) {
	if m.held == nil || m.freed {
		return
	}
	if m.state != media.StateConfirmed || m.claim != m.held.claim {
		h.found("%s was confirmed by %s, and is %s by %q (R1)", m, m.held.claim, m.state, m.claim)
	}
	for _, o := range h.there[m.key] {
		switch {
		case o.Marker:
			continue
		case m.held.version != "" && o.Version == m.held.version:
			return
		case m.held.version == "" && (o.ETag == m.held.etag || m.put(o.Version, o.ETag) != nil):
			return // an unversioned bucket keeps only what came last
		}
	}
	h.found("%s: what %s confirmed (etag %s, version %s) is not in the bucket (R1)", m, m.held.claim, m.held.etag, m.held.version)
}
