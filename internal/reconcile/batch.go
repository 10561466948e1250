package reconcile

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Batch is what was found in a part of a shard, to be recorded at once.
type Batch struct {
	Position string // everything up to and including it is dealt with
	Done     bool   // the shard was listed to its end
	Trial    bool   // of an adoption, which records no strays: what it has not recorded is not forgotten
	SourceAt time.Time
	Counts   Counts // of what needs no recording
	Landings []Landing
	Strays   []Stray
	Missing  []Row
	Adopted  []*media.Media
	Findings []Finding
	// Untold are the keys that S3 could not be asked for: what is recorded of them stays as it is.
	Untold []Untold
}

// Untold is a key that S3 could not be asked for, and the media whose key it is, or zero.
type Untold struct {
	Key     string
	MediaID uuid.UUID
}

// Landing is a landing and the key that it was found at.
type Landing struct {
	media.Landing
	Key string
}

// Recorded is what a store could record of a batch: media that somebody else has changed meanwhile, and those whose row
// somebody holds, are left out, as are objects that a row explains by now.
type Recorded struct {
	Landed  []media.Landed
	Strays  map[string]bool
	Missing map[uuid.UUID]bool
	Adopted map[string]bool // by key
}

// Settle returns what the batch comes to, given what could be recorded: counts, and findings beside those that it had.
func (b *Batch) Settle(done Recorded) (Counts, []Finding) {
	counts, findings := Counts{}, b.Findings
	counts.Add(b.Counts)
	byID := make(map[uuid.UUID]Landing, len(b.Landings))
	for _, l := range b.Landings {
		byID[l.MediaID] = l
	}
	for _, v := range done.Landed {
		count, kind := outcomeOf(v.Verdict)
		counts[count]++
		if kind != "" {
			l := byID[v.MediaID]
			findings = append(findings, Finding{Kind: kind, Key: l.Key, MediaID: v.MediaID, SizeBytes: l.SizeBytes, Detail: describe(kind, l.Landing)})
		}
		delete(byID, v.MediaID)
	}
	counts[CountChanged] += int64(len(byID))
	for _, s := range b.Strays {
		if !done.Strays[s.Key] {
			counts[CountChanged]++
			continue
		}
		counts.stray(s)
	}
	for _, m := range b.Missing {
		if done.Missing[m.ID] {
			counts[CountMissing]++
		} else {
			counts[CountChanged]++
		}
	}
	for _, m := range b.Adopted {
		if done.Adopted[m.Key] {
			counts[CountAdopted]++
		} else {
			counts[CountChanged]++
		}
	}
	return counts, findings
}

func (c Counts) stray(s Stray) {
	if s.Ours {
		c[CountStrays]++
		c[CountStrayBytes] += s.SizeBytes
		return
	}
	c[CountForeign]++
	c[CountForeignSize] += s.SizeBytes
}

// outcomeOf is what a landing's verdict comes to in a run.
func outcomeOf(v media.Verdict) (Count, Kind) {
	switch v {
	case media.VerdictLanded:
		return CountLanded, KindLanded
	case media.VerdictRejected:
		return CountRejected, KindRejected
	case media.VerdictLate:
		return CountLate, KindLate
	case media.VerdictConflict, media.VerdictReplaced:
		return CountOverwritten, KindOverwritten
	default: // somebody else was first
		return CountChanged, ""
	}
}

// verdictOf is what a landing would do to a media, for runs that change nothing.
func verdictOf(m *media.Media, l media.Landing) media.Verdict {
	switch {
	case m.State == media.StateDeleted:
		return media.VerdictLate
	case m.State == media.StateDeleting:
		return media.VerdictDeleting
	case m.State != media.StateConfirmed && l.Mismatch != "":
		return media.VerdictRejected
	case m.State == media.StatePending:
		return media.VerdictLanded
	case l.ETag == m.ETag:
		return media.VerdictDuplicate
	case m.State == media.StateUploaded:
		return media.VerdictReplaced
	default:
		return media.VerdictConflict
	}
}

func describe(kind Kind, l media.Landing) string {
	at := l.EventTime.UTC().Format(time.RFC3339)
	switch kind {
	case KindLanded:
		return "its notification was lost: the object is there since " + at
	case KindRejected:
		return "what is there is not what was declared: " + orSize(l)
	case KindLate:
		return "it was deleted, and its object is there since " + at + ": it is deleted again"
	default:
		return fmt.Sprintf("its object was replaced at %s by one with ETag %s", at, l.ETag)
	}
}

func orSize(l media.Landing) string {
	if l.Mismatch != "" {
		return l.Mismatch
	}
	return fmt.Sprintf("size is %d", l.SizeBytes)
}
