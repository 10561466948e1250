package media

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Source is how a landing was learnt.
type Source string

const (
	// SourceNotification is an S3 event from the queue.
	SourceNotification Source = "notification"
	// SourceConfirm is a HEAD made because a confirmation came before the notification.
	SourceConfirm Source = "confirm"
	// SourceSweep is the HEAD that the sweeper makes before it gives up on a PENDING media.
	SourceSweep Source = "sweep"
	// SourceReconcile is a listing of the bucket.
	SourceReconcile Source = "reconcile"
)

// Sources lists every source.
var Sources = []Source{SourceNotification, SourceConfirm, SourceSweep, SourceReconcile}

// Landing is an object that is known to exist under a media's key.
type Landing struct {
	MediaID   uuid.UUID
	SizeBytes int64
	ETag      string // without quotes
	VersionID string // empty on an unversioned bucket
	// Sequencer orders events of one key; empty when the source does not tell it (HEAD and LIST do not).
	Sequencer Sequencer
	EventTime time.Time // when S3 stored the object; zero when not known
	// Mismatch says what is not as declared, when the source could compare more than the size. Empty otherwise.
	Mismatch string
}

// Sequencer is the sequencer of an S3 event in a form whose byte order is its order: upper-case hexadecimal, padded
// on the left to 40 digits. The empty one is unknown, and sorts first.
//
// S3 documents it as a hexadecimal value, comparable for the same key only, whose lengths may differ: the event with
// the greater value happened later.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
type Sequencer string

// zeros are as many as a sequencer has digits.
const zeros = "0000000000000000000000000000000000000000"

// ParseSequencer normalises a sequencer as S3 sends it. An empty one is unknown, which is no error.
func ParseSequencer(s string) (Sequencer, error) {
	if s == "" {
		return "", nil
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return "", fmt.Errorf("sequencer %.80q is not hexadecimal", s)
		}
	}
	digits := strings.ToUpper(strings.TrimLeft(s, "0"))
	if len(digits) > len(zeros) {
		return "", fmt.Errorf("sequencer has %d digits, more than %d", len(digits), len(zeros))
	}
	return Sequencer(zeros[len(digits):] + digits), nil
}

// Verdict is what a landing did to its media.
type Verdict string

const (
	// VerdictLanded means PENDING became UPLOADED.
	VerdictLanded Verdict = "landed"
	// VerdictRejected means that what landed is not what was declared: DELETING.
	VerdictRejected Verdict = "rejected"
	// VerdictDuplicate means that nothing new was learnt.
	VerdictDuplicate Verdict = "duplicate"
	// VerdictReplaced means that an UPLOADED media's object was overwritten with one of the declared size: the later
	// one counts. A store that honours If-None-Match never lets it happen.
	VerdictReplaced Verdict = "replaced"
	// VerdictConflict means that a CONFIRMED media's object was overwritten. The row keeps what was confirmed, and when
	// that happened (R3).
	VerdictConflict Verdict = "conflict"
	// VerdictDeleting means that it is on its way out; the deletion is done once more after this.
	VerdictDeleting Verdict = "deleting"
	// VerdictLate means that a tombstone's object came back: DELETING again.
	VerdictLate Verdict = "late"
	// VerdictUnknown means that no row has this id: the object is a stray.
	VerdictUnknown Verdict = "unknown"
	// VerdictHeld means that nothing was recorded, since somebody's transaction holds the row: it is to be tried again.
	VerdictHeld Verdict = "held"
)

// Verdicts lists every verdict.
var Verdicts = []Verdict{
	VerdictLanded, VerdictRejected, VerdictDuplicate, VerdictReplaced, VerdictConflict, VerdictDeleting,
	VerdictLate, VerdictUnknown, VerdictHeld,
}

// Landed is the outcome of one landing.
type Landed struct {
	MediaID   uuid.UUID
	Verdict   Verdict
	EventTime time.Time // as it was in the landing, for measuring the lag
}

// Gathered is every landing of one media in a batch, reduced to what decides: the latest, and the smallest and the
// largest size of any. A size that is not the declared one rejects the media whatever the order of its events (R5).
type Gathered struct {
	Landing
	MinSize, MaxSize int64
}

// Gather reduces landings to one for each media, sorted by id, so that one statement can record them all and two
// such statements never wait for each other in a circle.
func Gather(landings []Landing) []Gathered {
	all := make([]Gathered, len(landings))
	for i, l := range landings {
		all[i] = Gathered{Landing: l, MinSize: l.SizeBytes, MaxSize: l.SizeBytes}
	}
	slices.SortFunc(all, func(a, b Gathered) int { return bytes.Compare(a.MediaID[:], b.MediaID[:]) })
	gathered := all[:0]
	for _, l := range all {
		if n := len(gathered); n > 0 && gathered[n-1].MediaID == l.MediaID {
			gathered[n-1].add(l.Landing)
		} else {
			gathered = append(gathered, l)
		}
	}
	return gathered
}

// add reduces another landing of the same media.
func (g *Gathered) add(l Landing) {
	mismatch := max(g.Mismatch, l.Mismatch) // any of them, but the same one whatever the order
	if later(l, g.Landing) {
		g.Landing = l
	}
	g.Mismatch = mismatch
	g.MinSize = min(g.MinSize, l.SizeBytes)
	g.MaxSize = max(g.MaxSize, l.SizeBytes)
}

// later reports whether a happened after b: by sequencer, and where that does not tell, by the time of the event. What
// is left is decided by contents, so that the order within a batch never does (R5).
func later(a, b Landing) bool {
	return cmp.Or(
		cmp.Compare(a.Sequencer, b.Sequencer), a.EventTime.Compare(b.EventTime), cmp.Compare(a.ETag, b.ETag),
		cmp.Compare(a.VersionID, b.VersionID), cmp.Compare(a.SizeBytes, b.SizeBytes),
	) > 0
}
