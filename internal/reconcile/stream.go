package reconcile

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Listed is what a listing, or an inventory, tells of one key. Its texts may be parts of a larger one, which they keep in
// memory: what is to stay is set apart.
type Listed struct {
	Key          string
	SizeBytes    int64
	ETag         string // without quotes
	VersionID    string // of the current object; empty on a bucket that never had versions
	LastModified time.Time
	// NoObject means that the key has only noncurrent versions or delete markers.
	NoObject bool
	// Noncurrent are the ids of its other versions, and NoncurrentBytes their sizes together.
	Noncurrent      []string
	NoncurrentBytes int64
	DeleteMarkers   int
}

// apart returns a copy without its noncurrent versions, that holds on to nothing else of its page.
func (o *Listed) apart() Listed {
	c := *o
	c.Key, c.ETag, c.VersionID = strings.Clone(o.Key), strings.Clone(o.ETag), strings.Clone(o.VersionID)
	c.Noncurrent = nil
	return c
}

// Row is what a run reads of a media. Its texts are as those of Listed.
type Row struct {
	ID          uuid.UUID
	Key         string
	State       media.State
	SizeBytes   int64
	ETag        string
	VersionID   string
	LandedAt    time.Time
	LandedBy    media.Source
	Overwritten bool
	Revision    int64
}

// apart returns a copy that holds on to nothing else of its page.
func (r *Row) apart() Row {
	c := *r
	c.Key, c.ETag, c.VersionID = strings.Clone(r.Key), strings.Clone(r.ETag), strings.Clone(r.VersionID)
	return c
}

// Landed reports whether the row says that there is an object which is wanted.
func (r *Row) Landed() bool {
	return r.State == media.StateUploaded || r.State == media.StateConfirmed
}

func (r *Row) reusable() bool { return (&media.Media{ID: r.ID, Key: r.Key}).Reusable() }

// Quarantined is where a stray goes below a prefix: under its whole key, in a folder that is named after its time, so
// that another stray of the same key does not overwrite it.
func (s *Stray) Quarantined(prefix string) string {
	return prefix + s.LastModified.UTC().Format("20060102T150405Z") + "/" + s.Key
}

// Upload is an unfinished multipart upload.
type Upload struct {
	Key       string
	ID        string
	StartedAt time.Time
}

// Stray is an object that no row explains, as it was when it was last seen.
type Stray struct {
	Key          string
	SizeBytes    int64
	ETag         string
	VersionID    string
	LastModified time.Time
	// Ours means that the key is one that coatcheck mints, or below a prefix that was adopted. What is not cannot be
	// attributed to anybody, and is never removed.
	Ours        bool
	FirstSeenAt time.Time
	FirstRun    uuid.UUID
	LastSeenAt  time.Time
	LastRun     uuid.UUID
	DeletingAt  time.Time // when a removal was begun; zero when none is
	RemovedAt   time.Time
	RemovedTo   string // key in quarantine
	Attempts    int
	LastError   string
}

// StrayPage chooses strays for a listing, in the order of keys.
type StrayPage struct {
	After   string    // only keys above this one
	Removed bool      // those that were removed, instead of those that are there
	Run     uuid.UUID // only those that this run was the last to see; all when it is zero
	Limit   int
}

// Missing is a media that has landed and whose object S3 does not have.
type Missing struct {
	Media       *media.Media
	FirstSeenAt time.Time
	LastSeenAt  time.Time
	LastRun     uuid.UUID
}

// Adoption is what the list of an adoption says of a key that is in use.
type Adoption struct {
	Key, Claim, Tenant, Owner string
}
