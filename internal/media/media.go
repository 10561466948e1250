package media

import (
	"time"

	"github.com/google/uuid"
)

// Media is one upload and what became of it.
type Media struct {
	ID     uuid.UUID // UUIDv7, minted by us
	Tenant string
	Owner  string
	Key    string // object key, see [Keys]

	State  State
	Reason Reason // why it is DELETING or DELETED, else empty

	// What was declared at creation. The presigned request fits nothing else.
	ContentType    string
	SizeBytes      int64
	ChecksumSHA256 []byte // 32 bytes, or nil when none was declared
	FileName       string
	Metadata       map[string]string
	IdempotencyKey string

	CreatedAt    time.Time
	URLExpiresAt time.Time // of the last URL presigned for it

	// What landed. Zero while PENDING.
	LandedAt  time.Time
	LandedBy  Source
	ETag      string // without quotes
	VersionID string // empty on an unversioned bucket
	Sequencer Sequencer

	Claim       string // who holds it; kept in the tombstone
	ConfirmedAt time.Time
	// OverwrittenAt is when it was first learnt that something overwrote the object after it was confirmed. ETag and
	// VersionID still tell of what was confirmed.
	OverwrittenAt time.Time

	DeletingAt time.Time
	DeletedAt  time.Time
	Attempts   int    // DeleteObjects calls made for it
	LastError  string // of the last attempt

	// DueAt is when the sweeper looks at it next: the end of the upload window (PENDING), of the claim window
	// (UPLOADED), the next attempt (DELETING) or the purge (DELETED). Zero for CONFIRMED: the sweeper never does.
	DueAt time.Time
	// Revision counts changes of the row. What was decided about one revision is not done to the next.
	Revision int64
}

// Scope is what a caller may see and touch: one tenant, and within it one owner, or every owner when Owner is
// empty (R9).
type Scope struct {
	Tenant string
	Owner  string
}

// Windows are the product's promises in time.
type Windows struct {
	Upload    time.Duration // PENDING may last this long after its last URL was given out
	Claim     time.Duration // UPLOADED may last this long
	Tombstone time.Duration // DELETED is kept this long: a PUT that began in time may end this much later
}

// Page chooses media for a listing, newest first.
type Page struct {
	State  State     // empty: any
	Before uuid.UUID // only ids below this one; zero: from the newest
	Limit  int
}
