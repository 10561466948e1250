package reconcile

import "slices"

// Count names one of the things that a run counts.
type Count string

// What is counted while the bucket is listed. An object is counted by one of the classes from explained to unclear, and
// a row without an object by one of waiting, missing and hidden, where it has landed.
const (
	CountObjects     Count = "objects" // current objects, whatever they are
	CountBytes       Count = "bytes"
	CountExplained   Count = "explained" // UPLOADED or CONFIRMED, and as recorded
	CountInFlight    Count = "in_flight" // PENDING, and so new that its notification may be on its way
	CountLanded      Count = "landed"    // PENDING: the notification was lost
	CountRejected    Count = "rejected"  // PENDING or UPLOADED, and not what was declared
	CountOverwritten Count = "overwritten"
	CountDeleting    Count = "deleting" // on its way out
	CountLate        Count = "late"     // of a tombstone: deleted again
	CountAdopted     Count = "adopted"
	CountStrays      Count = "strays"
	CountStrayBytes  Count = "stray_bytes"
	CountForeign     Count = "foreign" // strays whose keys cannot be attributed
	CountForeignSize Count = "foreign_bytes"
	CountChanged     Count = "changed" // changed, appeared or vanished while it was looked at
	CountUnclear     Count = "unclear" // S3 could not be asked for it

	CountRows    Count = "rows"    // of any state
	CountWaiting Count = "waiting" // PENDING without an object
	CountMissing Count = "missing"
	CountHidden  Count = "hidden" // the version is there, below a delete marker

	CountNoncurrent      Count = "noncurrent"
	CountNoncurrentBytes Count = "noncurrent_bytes"
	CountDeleteMarkers   Count = "delete_markers"
	CountUploads         Count = "uploads" // unfinished multipart uploads
	CountUploadsAborted  Count = "uploads_aborted"

	// CountLandedSince are media that landed since the run before began, and CountLost those of them that were not
	// learnt from a notification.
	CountLandedSince Count = "landed_since"
	CountLost        Count = "lost_notifications"
)

// What is counted while strays are removed: what became of each, and for those that stay, why.
const (
	CountRemoved      Count = "removed"
	CountRemovedBytes Count = "removed_bytes"
	CountKeptRecent   Count = "kept_recent"   // younger than the grace period, or seen in one run only
	CountKeptForeign  Count = "kept_not_ours" // cannot be attributed
	CountKeptRow      Count = "kept_row_appeared"
	CountKeptChanged  Count = "kept_changed" // not as it was recorded, or gone
	CountKeptUnclear  Count = "kept_unclear" // S3 could not be asked for it, or refused
	CountKeptBudget   Count = "kept_budget"  // the run's budget was used up
)

// CountNames lists every count, in the order of a report.
var CountNames = []Count{
	CountObjects, CountBytes, CountExplained, CountInFlight, CountLanded, CountRejected, CountOverwritten, CountDeleting,
	CountLate, CountAdopted, CountStrays, CountStrayBytes, CountForeign, CountForeignSize, CountChanged, CountUnclear,
	CountRows, CountWaiting, CountMissing, CountHidden, CountNoncurrent, CountNoncurrentBytes, CountDeleteMarkers,
	CountUploads, CountUploadsAborted, CountLandedSince, CountLost, CountRemoved, CountRemovedBytes, CountKeptRecent,
	CountKeptForeign, CountKeptRow, CountKeptChanged, CountKeptUnclear, CountKeptBudget,
}

// IsBytes reports whether it is a number of bytes.
func (c Count) IsBytes() bool {
	return slices.Contains([]Count{CountBytes, CountStrayBytes, CountForeignSize, CountNoncurrentBytes, CountRemovedBytes}, c)
}

// Counts are numbers by name; what is not there is 0.
type Counts map[Count]int64

// Add adds others to it.
func (c Counts) Add(others Counts) {
	for name, n := range others {
		if n != 0 {
			c[name] += n
		}
	}
}
