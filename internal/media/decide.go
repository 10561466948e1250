package media

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Claim is a wish to confirm: which media, and what holds it from then on, such as "post/123".
type Claim struct {
	MediaID uuid.UUID
	Claim   string
}

// Confirm claims the media, and reports whether that changed it: the same claim again does not. The caller holds the
// row's lock and saves the change.
func (m *Media) Confirm(claim string, now time.Time) (changed bool, refusal *Error) {
	if t, ok := Next(m.State, EventConfirm); ok {
		m.State, m.Claim, m.ConfirmedAt, m.DueAt = t.To, claim, now, time.Time{}
		m.Revision++
		return true, nil
	}
	switch m.State {
	case StateConfirmed:
		if m.Claim == claim {
			return false, nil
		}
		return false, m.claimedByAnother()
	case StatePending:
		return false, m.refuse(CodeNotLanded, "has not been uploaded: upload it first, then confirm it")
	default:
		return false, Gone(m)
	}
}

// Discard applies a wish to be rid of the media, and reports whether that changed it: [EventCancel] (a claim refuses
// it), [EventDelete] (whatever the claim), or [EventRelease] (the claim must be the one that holds it). What is gone
// already stays as it is, except that a release must name the claim that held it. The caller holds the row's lock and
// saves the change.
func (m *Media) Discard(e Event, claim string, now time.Time) (changed bool, refusal *Error) {
	if e == EventRelease && m.Claim != "" && m.Claim != claim {
		return false, m.claimedByAnother()
	}
	if t, ok := Next(m.State, e); ok {
		m.State, m.Reason, m.DeletingAt, m.DueAt = t.To, t.Reason, now, now
		m.Revision++
		return true, nil
	}
	switch {
	case !m.State.Live() && (e != EventRelease || m.Claim != ""):
		return false, nil
	case e == EventRelease && m.State.Live():
		return false, m.refuse(CodeNotConfirmed, "is not confirmed: there is no claim to release")
	case e == EventRelease:
		return false, Gone(m)
	default:
		return false, m.refuse(CodeConfirmed, "is confirmed, so its upload can no longer be cancelled: the backend may release or delete it")
	}
}

func (m *Media) refuse(code Code, text string) *Error {
	return &Error{Code: code, MediaID: m.ID, State: m.State, Message: fmt.Sprintf("media %s %s", m.ID, text)}
}

// claimedByAnother does not repeat the other claim: the caller may not be the one who made it.
func (m *Media) claimedByAnother() *Error {
	e := m.refuse(CodeClaimConflict, "is held by another claim: release that one first, or upload the file once more")
	e.Field, e.Rule = "claim", "claim.conflict"
	return e
}
