package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// ask is what a closer look is to be taken for.
type ask int

const (
	askNothing ask = iota
	askLanding     // an object that its row does not know, or not like this
	askMissing     // a landed row without its object
	askStray       // an object without a row
	askVersion     // an object of a landed row whose own version was not listed
)

// candidate is an object, a row, or both, that a closer look is taken at.
type candidate struct {
	ask    ask
	object Listed // its key only, when there is no object
	row    Row
}

// judgement is what the two streams say of one key, before anybody is asked.
type judgement struct {
	ask   ask
	count Count // when nothing is asked
}

// judge compares an object with the row of its key. Either may be nil. listedAt is when an inventory's scan began, and
// zero for a listing: a row that is newer than that says nothing of an object that the inventory lacks.
func (r *Reconciler) judge(o *Listed, row *Row, listedAt time.Time) judgement {
	switch {
	case row == nil && o.NoObject:
		return judgement{} // versions only: counted as such
	case row == nil:
		return judgement{ask: askStray}
	case o != nil && !o.NoObject && row.State == media.StateDeleted && row.reusable():
		return judgement{ask: askStray} // stored after the deletion, by somebody else
	case o == nil || o.NoObject:
		return judgeAbsence(o, row, listedAt)
	}
	switch row.State {
	case media.StatePending:
		if r.now().Sub(o.LastModified) < r.config.InFlight {
			return judgement{count: CountInFlight}
		}
		return judgement{ask: askLanding}
	case media.StateDeleting:
		return judgement{count: CountDeleting}
	case media.StateDeleted:
		return judgement{ask: askLanding}
	}
	switch {
	case row.VersionID != "" && o.VersionID != "" && o.VersionID != row.VersionID && !slices.Contains(o.Noncurrent, row.VersionID):
		return judgement{ask: askVersion} // whatever there is now, it is not what a download asks for
	case o.SizeBytes == row.SizeBytes && (o.ETag == row.ETag || row.ETag == ""):
		return judgement{count: CountExplained}
	case row.Overwritten:
		return judgement{count: CountOverwritten} // noted before
	}
	return judgement{ask: askLanding}
}

func judgeAbsence(o *Listed, row *Row, listedAt time.Time) judgement {
	switch {
	case row.State == media.StatePending:
		return judgement{count: CountWaiting}
	case !row.Landed():
		return judgement{}
	case !listedAt.IsZero() && !row.LandedAt.Before(listedAt):
		return judgement{}
	case o != nil && row.VersionID != "" && slices.Contains(o.Noncurrent, row.VersionID):
		return judgement{count: CountHidden}
	}
	return judgement{ask: askMissing}
}

// ours reports whether a key can be attributed: coatcheck would mint it, or it is below a prefix that was adopted.
func (r *Reconciler) ours(key string, adopted []string) bool {
	if _, ok := r.keys.ID(key); ok {
		return true
	}
	return slices.ContainsFunc(adopted, func(p string) bool { return strings.HasPrefix(key, p) })
}
