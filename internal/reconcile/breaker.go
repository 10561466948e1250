package reconcile

import (
	"fmt"
	"strings"
)

// tripped reports whether a run has seen so many strays that it must be looking at the wrong database (R8).
func tripped(s Settings, c Counts) bool {
	return c[CountStrays] > 0 && !(float64(c[CountStrays]) <= s.MaxStrayShare*float64(attributable(c)))
}

// attributable is how many objects there are that a row should explain. Foreign ones, which no run removes, say nothing of
// the database, however many there are.
func attributable(c Counts) int64 { return max(0, c[CountObjects]-c[CountForeign]) }

// verdict says how a run goes on when all is listed.
func verdict(s Settings, c Counts) (next Phase, outcome Outcome, explanation string) {
	switch {
	case tripped(s, c) && s.Removes():
		return PhaseDone, OutcomeTripped, tooMany(s, c) + ". Nothing was removed"
	case tripped(s, c):
		return PhaseDone, OutcomeFinished, tooMany(s, c) + ". A run that may remove strays would stop here"
	case s.Removes() && c[CountStrays]+c[CountForeign]+c[CountUploads] > 0:
		return PhaseRemoving, "", ""
	default:
		return PhaseDone, OutcomeFinished, left(c)
	}
}

// left says what a run has left for the next.
func left(c Counts) string {
	var all []string
	if n := c[CountKeptBudget]; n > 0 {
		all = append(all, fmt.Sprintf("the run's delete budget was used up, %d strays are left for the next", n))
	}
	if n := c[CountUnclear] + c[CountKeptUnclear]; n > 0 {
		all = append(all, fmt.Sprintf("S3 did not tell of %d keys, or refused, and they were left as they are: the findings say why", n))
	}
	return strings.Join(all, "; ")
}

func tooMany(s Settings, c Counts) string {
	share := 100 * float64(c[CountStrays]) / float64(max(1, attributable(c)))
	return fmt.Sprintf("%d of %d objects (%.3g %%) have no row, foreign ones not counted, and at most %.3g %% may: this looks like the wrong database, or like one "+
		"restored from a backup that is older than the objects. If they are strays all the same, as after an adoption, raise --max-stray-share",
		c[CountStrays], attributable(c), share, 100*s.MaxStrayShare)
}
