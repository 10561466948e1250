// Package overview tells the operator how everything is: what there is by state and age, what became of what was created,
// how landings were learnt, and what is overdue.
//
// Most of it is read at once and cheap. The counts are not: they come from a scan of all media, which one process at a time makes
// in the background, while somebody asks, and for at most a fiftieth of the time.
package overview

import (
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/sweep"
)

// Overview is the state of everything.
type Overview struct {
	MadeAt  time.Time
	Counts  *Counts // nil: nothing has been counted yet
	Backlog []Backlog
	Queue   *Queue // nil: this process knows none
	Found   Found
	// LastSweep is the newest pass that did anything; nil: none. SweptAt is when the newest of all began.
	LastSweep *sweep.Pass
	SweptAt   time.Time
	// LastReconcile is the newest run, under way or done; nil: none.
	LastReconcile *reconcile.Run
}

// Counts is what one scan of all media counted.
type Counts struct {
	CountedAt time.Time     `json:"-"`
	Took      time.Duration `json:"-"`
	Media     []MediaCount
	Funnel    []FunnelHour
	Landings  []LandingCount
	// LandingP50 and LandingP99 are how long it took half, and 99 of 100, of the media that were learnt from a notification to have
	// landed within the last hour, to within 3 %. Zero when there were none.
	LandingP50, LandingP99 time.Duration
}

// Age is how long ago a media was created.
type Age int

const (
	AgeHour  Age = 1 + iota // less than an hour
	AgeDay                  // less than a day
	AgeWeek                 // less than 7 days
	AgeMonth                // less than 30 days
	AgeOlder
)

// MediaCount is a group of media.
type MediaCount struct {
	State  media.State
	Reason media.Reason `json:",omitempty"`
	Age    Age
	Media  int64
	Bytes  int64
}

// FunnelHour is what became of the media that were presigned in an hour.
type FunnelHour struct {
	Start                                                  time.Time
	Presigned, Landed, Confirmed, NeverUploaded, Unclaimed int64
}

// LandingCount is how landings of media that were presigned in the last 7 days were learnt.
type LandingCount struct {
	Source     media.Source
	Media      int64
	Unnotified int64
}

// Backlog is what is not CONFIRMED in one state.
type Backlog struct {
	State   media.State
	Media   int64
	Overdue int64
	Oldest  time.Duration // for how long the longest overdue has been due
}

// Queue is how deep the queue of notifications is.
type Queue struct {
	Waiting, InFlight, DeadLetters int64
	HasDeadLetterQueue             bool
}

// Found is what reconciliations have found that is still so.
type Found struct {
	Strays, StrayBytes, Missing int64
}

const (
	// countEvery is the least time from the end of a count to the next, and countShare what part of the time counting takes at most.
	countEvery = 2 * time.Second
	countShare = 50
)

// Due reports whether media are to be counted again, when they were last with this outcome, or never (nil).
func Due(last *Counts, now time.Time) bool {
	return last == nil || now.Sub(last.CountedAt) >= max(countEvery, countShare*last.Took) || now.Before(last.CountedAt)
}
