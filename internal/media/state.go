package media

import "slices"

// State is where a media is in its life. The values are what Postgres stores.
type State string

const (
	// StatePending means presigned, and not known to have landed. CreateUpload puts it here; a landing, a
	// cancellation or the sweeper takes it away.
	StatePending State = "pending"
	// StateUploaded means that the object exists in S3 as declared, and that nothing has claimed it yet. A landing
	// puts it here; a confirmation, a cancellation or the sweeper takes it away.
	StateUploaded State = "uploaded"
	// StateConfirmed means claimed by something in the product. A confirmation puts it here; only the product's own
	// release or delete takes it away (R1).
	StateConfirmed State = "confirmed"
	// StateDeleting means that the object is to be deleted and that S3 has not confirmed it yet (R6). The sweeper
	// takes it away.
	StateDeleting State = "deleting"
	// StateDeleted is the tombstone: the object is gone, and the row is kept while a late PUT could still arrive. A
	// late landing takes it back to DELETING; the sweeper purges it.
	StateDeleted State = "deleted"
)

// States lists every state, in the order of a life.
var States = []State{StatePending, StateUploaded, StateConfirmed, StateDeleting, StateDeleted}

// Live reports whether the media's object is wanted, or could still become so.
func (s State) Live() bool {
	return s == StatePending || s == StateUploaded || s == StateConfirmed
}

// Reason says why a media is DELETING or DELETED. It is empty in every other state.
type Reason string

const (
	// ReasonNeverUploaded means that the upload window passed and a HEAD found no object.
	ReasonNeverUploaded Reason = "never_uploaded"
	// ReasonUnclaimed means that it landed and the claim window passed without a confirmation.
	ReasonUnclaimed Reason = "unclaimed"
	// ReasonCancelled means that the client cancelled it, or that the backend deleted it before anything claimed it.
	ReasonCancelled Reason = "cancelled"
	// ReasonReleased means that the backend gave up the claim, or deleted it while it was claimed.
	ReasonReleased Reason = "released"
	// ReasonRejected means that what landed is not what was declared.
	ReasonRejected Reason = "rejected"
	// ReasonLate means that an object landed after the media had been deleted.
	ReasonLate Reason = "late"
)

// Reasons lists every reason.
var Reasons = []Reason{
	ReasonNeverUploaded, ReasonUnclaimed, ReasonCancelled, ReasonReleased, ReasonRejected, ReasonLate,
}

// Event is what moves a media from one state to another.
type Event string

const (
	// EventLand is the knowledge that the object exists as declared.
	EventLand Event = "land"
	// EventReject is the knowledge that an object exists that is not what was declared.
	EventReject Event = "reject"
	// EventConfirm is a claim by the product's backend.
	EventConfirm Event = "confirm"
	// EventRelease is the end of a claim.
	EventRelease Event = "release"
	// EventDelete is the backend's wish that the media go, claimed or not.
	EventDelete Event = "delete"
	// EventCancel is the client's wish that its upload go, as long as nothing has claimed it.
	EventCancel Event = "cancel"
	// EventExpireUpload is the end of the upload window, after a HEAD that found nothing.
	EventExpireUpload Event = "expire_upload"
	// EventExpireClaim is the end of the claim window.
	EventExpireClaim Event = "expire_claim"
	// EventGone is S3's confirmation that the object is deleted.
	EventGone Event = "gone"
	// EventLandLate is a landing on a tombstone.
	EventLandLate Event = "land_late"
)

// Events lists every event.
var Events = []Event{
	EventLand, EventReject, EventConfirm, EventRelease, EventDelete, EventCancel, EventExpireUpload, EventExpireClaim,
	EventGone, EventLandLate,
}

// Transition is one row of the table: in state From, Event moves the media to To, with Reason.
type Transition struct {
	From   State
	Event  Event
	To     State
	Reason Reason
}

// Transitions is every change of state that there is. What is not here cannot happen: the store guards each
// statement with [From], and its tests walk the whole product of states and events against this table.
var Transitions = []Transition{
	{StatePending, EventLand, StateUploaded, ""},
	{StatePending, EventReject, StateDeleting, ReasonRejected},
	{StatePending, EventCancel, StateDeleting, ReasonCancelled},
	{StatePending, EventDelete, StateDeleting, ReasonCancelled},
	{StatePending, EventExpireUpload, StateDeleting, ReasonNeverUploaded},
	{StateUploaded, EventReject, StateDeleting, ReasonRejected},
	{StateUploaded, EventConfirm, StateConfirmed, ""},
	{StateUploaded, EventCancel, StateDeleting, ReasonCancelled},
	{StateUploaded, EventDelete, StateDeleting, ReasonCancelled},
	{StateUploaded, EventExpireClaim, StateDeleting, ReasonUnclaimed},
	{StateConfirmed, EventRelease, StateDeleting, ReasonReleased},
	{StateConfirmed, EventDelete, StateDeleting, ReasonReleased},
	{StateDeleting, EventGone, StateDeleted, ""}, // keeps the reason that it was deleted for
	{StateDeleted, EventLandLate, StateDeleting, ReasonLate},
}

// From returns the states from which the event moves a media, in the order of [Transitions].
func From(e Event) []State {
	var from []State
	for _, t := range Transitions {
		if t.Event == e {
			from = append(from, t.From)
		}
	}
	return from
}

// Next returns the transition that the event makes in the state, and false when it makes none.
func Next(from State, e Event) (Transition, bool) {
	i := slices.IndexFunc(Transitions, func(t Transition) bool { return t.From == from && t.Event == e })
	if i < 0 {
		return Transition{}, false
	}
	return Transitions[i], true
}
