package reconcile

import (
	"time"

	"github.com/google/uuid"
)

// Policy says what becomes of strays.
type Policy string

const (
	// PolicyReport records strays and leaves them.
	PolicyReport Policy = "report"
	// PolicyQuarantine moves strays below another prefix, whose lifecycle ends them.
	PolicyQuarantine Policy = "quarantine"
	// PolicyDelete deletes strays.
	PolicyDelete Policy = "delete"
)

// SourceListing is the source of a run that lists the bucket. Any other is the address of an inventory's manifest.
const SourceListing = "listing"

// Settings are what a run is begun with. They are kept with it: whoever goes on with the run goes by them.
type Settings struct {
	Source   string
	SourceAt time.Time // of an inventory: when its scan began
	// DryRun records what is found and changes nothing else: no media, no object, no upload.
	DryRun bool
	// Adopt makes rows for the objects below AdoptPrefix that the list of an adoption names. In a dry run the prefix is
	// gone over as if it had been adopted, and no stray is recorded.
	Adopt       bool
	AdoptPrefix string
	Policy      Policy
	// Quarantine is the prefix that strays are moved below; what is there is passed over.
	Quarantine string
	// Grace is how old a stray must be, and how far apart the two runs that saw it, before it is removed. A shorter one
	// pays for less; a longer one leaves more time to notice that the database is not the right one.
	Grace time.Duration
	// MaxStrayShare is the share of strays among the objects seen that are not foreign, from 0 to 1, above which nothing is
	// removed (R8).
	MaxStrayShare float64
	// DeleteBudget is how many strays one run may remove.
	DeleteBudget int64
	// AbortUploadsAfter is the age at which an unfinished multipart upload is aborted.
	AbortUploadsAfter time.Duration
}

// Removes reports whether the run may remove strays.
func (s Settings) Removes() bool {
	return !s.DryRun && (s.Policy == PolicyQuarantine || s.Policy == PolicyDelete) // and none that only a newer binary knows
}

// Phase is how far a run has got.
type Phase string

const (
	// PhaseListing means that shards are being listed and compared.
	PhaseListing Phase = "listing"
	// PhaseRemoving means that all was listed, and that strays are being removed.
	PhaseRemoving Phase = "removing"
	// PhaseDone means that nothing more will be done.
	PhaseDone Phase = "done"
)

// Outcome is how a run ended. It is empty until then.
type Outcome string

const (
	// OutcomeFinished means that everything was done that the settings ask for.
	OutcomeFinished Outcome = "finished"
	// OutcomeTripped means that there were so many strays that none was removed (R8).
	OutcomeTripped Outcome = "tripped"
	// OutcomeAbandoned means that it was given up in the middle.
	OutcomeAbandoned Outcome = "abandoned"
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{OutcomeFinished, OutcomeTripped, OutcomeAbandoned}

// Run is one reconciliation.
type Run struct {
	ID uuid.UUID
	Settings
	Phase       Phase
	Outcome     Outcome
	Explanation string // for people: why it ended as it did, or what to look at
	Counts      Counts // of all shards so far
	Shards      int
	ShardsDone  int   // of the phase that it is in; those that were listed, when it is done
	Estimate    int64 // of the number of objects, from Postgres's statistics
	StartedAt   time.Time
	// PriorStartedAt is when the run before began; zero for the first.
	PriorStartedAt time.Time
	ListedAt       time.Time
	FinishedAt     time.Time
	// WorkedAt is when a process last took, kept or gave back one of its shards, at the latest.
	WorkedAt time.Time
}

// ShardPhase is how far a shard has got.
type ShardPhase string

const (
	// ShardListing means that its keys are being listed and compared.
	ShardListing ShardPhase = "listing"
	// ShardListed means that they have been.
	ShardListed ShardPhase = "listed"
	// ShardRemoved means that its strays have been dealt with too.
	ShardRemoved ShardPhase = "removed"
)

// Range is the keys that begin with Prefix, above After, and up to and including Until; an empty bound is none.
type Range struct {
	Prefix, After, Until string
}

// Shard is a range of a run, and how far it has got. One process at a time has its lease.
type Shard struct {
	RunID  uuid.UUID
	Number int
	Range
	Position string // everything up to and including it has been dealt with
	Phase    ShardPhase
	Lease    uuid.UUID
	Counts   Counts
}

// Kind is what a finding is about.
type Kind string

const (
	// KindLanded is a media whose notification was lost, or is very late.
	KindLanded Kind = "landed"
	// KindRejected is one whose object is not what was declared.
	KindRejected Kind = "rejected"
	// KindLate is an object of a tombstone, which is deleted again.
	KindLate Kind = "late"
	// KindOverwritten is a media whose object was replaced after it had landed.
	KindOverwritten Kind = "overwritten"
	// KindHidden is a media whose version is there, below a delete marker.
	KindHidden Kind = "hidden"
	// KindUpload is an unfinished multipart upload.
	KindUpload Kind = "upload"
	// KindUploadAborted is one that was aborted.
	KindUploadAborted Kind = "upload_aborted"
	// KindNotAdopted is an entry of an adoption's list that could not be adopted.
	KindNotAdopted Kind = "not_adopted"
	// KindUnclear is what could not be told, and was left as it is.
	KindUnclear Kind = "unclear"
	// KindStray and KindMissing name, in reports, what is kept as [Stray] and [Missing].
	KindStray   Kind = "stray"
	KindMissing Kind = "missing"
)

// Finding is something that a run found, beside strays and missing objects.
type Finding struct {
	Kind      Kind
	Key       string
	MediaID   uuid.UUID // zero when there is none
	SizeBytes int64     // -1 when it is not known
	Detail    string    // a sentence without its full stop
	FoundAt   time.Time
}
