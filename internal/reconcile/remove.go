package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Removal is what became of a page of strays.
type Removal struct {
	Position string // everything up to and including it is dealt with
	Done     bool   // no stray of the shard is left
	Counts   Counts
	Findings []Finding
	Removed  []Stray // RemovedTo is set for those in quarantine
	Failed   []Stray // LastError is set
	// Unused was taken of the budget and is given back.
	Unused int
}

const (
	removalPage = 500
	// quarantinePage is smaller: a copy can take minutes.
	quarantinePage = 32
)

// removeStrays deals with the strays of a shard that the run has seen, page by page, and with the unfinished uploads of a
// prefix in its first shard.
func (r *Reconciler) removeStrays(ctx context.Context, run *Run, shard *Shard, adopted []string) error {
	limit := removalPage
	if run.Policy == PolicyQuarantine {
		limit = quarantinePage
	}
	for {
		strays, err := r.store.SeenStrays(ctx, run.ID, shard.Range, shard.Position, limit)
		if err != nil {
			return err
		}
		p := &removal{Reconciler: r, run: run, shard: shard, adopted: adopted, result: Removal{Counts: Counts{}, Done: len(strays) < limit}}
		if shard.After == "" && shard.Position == "" && run.Source == SourceListing {
			if err := p.abortUploads(ctx, shard.Prefix); err != nil {
				return err
			}
		}
		if len(strays) > 0 {
			p.result.Position = strays[len(strays)-1].Key
		}
		if err := p.page(ctx, strays); err != nil {
			return err
		}
		before := shard.Counts
		if err := r.store.EndRemoval(ctx, shard, p.result); err != nil {
			return err
		}
		r.metrics.recorded(before, shard.Counts)
		if p.result.Done {
			return nil
		}
	}
}

// removal decides about one page of strays.
type removal struct {
	*Reconciler
	run     *Run
	shard   *Shard
	adopted []string
	result  Removal
}

// page removes what may be removed. The order matters: what costs nothing is asked first; the intent is recorded in the
// statement that looks the row up for the last time; and S3 is told to delete only what still has the recorded ETag.
func (p *removal) page(ctx context.Context, strays []Stray) error {
	var due []Stray
	for _, s := range strays {
		switch reason := p.keep(s); reason {
		case "":
			due = append(due, s)
		default:
			p.result.Counts[reason]++
		}
	}
	if len(due) == 0 {
		return nil
	}
	granted, err := p.store.TakeBudget(ctx, p.shard, len(due))
	if err != nil {
		return err
	}
	p.result.Counts[CountKeptBudget] += int64(len(due) - granted)
	due = due[:granted]
	p.result.Unused = granted
	if due, err = p.unchanged(ctx, due); err != nil || len(due) == 0 {
		return err
	}
	begun := p.now().Round(0) // of the wall clock, which goes on while a machine is suspended
	may, err := p.store.BeginRemoval(ctx, p.shard, due)
	if err != nil {
		return err
	}
	var going []Stray
	for _, s := range due {
		if may[s.Key] {
			going = append(going, s)
			continue
		}
		p.result.Counts[CountKeptRow]++
	}
	if p.now().Round(0).Sub(begun) > p.config.Lease {
		return fmt.Errorf("the process stood still before it removed %d strays: %w", len(going), ErrLeaseLost)
	}
	return p.remove(ctx, going)
}

// keep returns why a stray is to stay, as far as its record tells, or nothing.
func (p *removal) keep(s Stray) Count {
	limit := p.now().Add(-p.run.Grace)
	switch {
	case !s.Ours || !p.ours(s.Key, p.adopted): // its prefix may be managed no longer
		return CountKeptForeign
	case s.FirstRun == p.run.ID || s.FirstSeenAt.After(limit) || s.LastModified.After(limit):
		return CountKeptRecent
	}
	return ""
}

// unchanged returns those that S3 has as they were recorded. One whose removal was begun before and that is gone was
// removed: the process did not live to say so.
func (p *removal) unchanged(ctx context.Context, strays []Stray) ([]Stray, error) {
	type answer struct {
		same, gone bool
		err        error
	}
	answers := make([]answer, len(strays))
	var group errgroup.Group
	group.SetLimit(p.config.HeadConcurrency)
	for i, s := range strays {
		group.Go(func() error {
			o, found, err := p.objects.Head(ctx, s.Key)
			a := &answers[i]
			a.err, a.gone = err, err == nil && !found
			a.same = found && o.ETag == s.ETag && o.SizeBytes == s.SizeBytes && plainVersion(o.VersionID) == plainVersion(s.VersionID) &&
				o.LastModified.Truncate(time.Second).Equal(s.LastModified)
			return nil
		})
	}
	_ = group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var (
		same     []Stray
		failures int
		failure  error
	)
	for i, a := range answers {
		switch s := strays[i]; {
		case a.err != nil:
			failures, failure = failures+1, a.err
			p.failed(s, a.err)
		case a.same:
			same = append(same, s)
		case a.gone && !s.DeletingAt.IsZero():
			p.removed(s)
		default:
			p.result.Counts[CountKeptChanged]++
		}
	}
	return same, p.whole(ctx, failures, len(strays), failure)
}

// plainVersion makes one of the two ways in which S3 says that an object has no version of its own.
func plainVersion(id string) string {
	if id == "null" {
		return ""
	}
	return id
}

func (p *removal) remove(ctx context.Context, going []Stray) error {
	if len(going) == 0 {
		return nil
	}
	quarantine := ""
	if p.run.Policy == PolicyQuarantine {
		quarantine = p.run.Quarantine
	}
	errs := p.objects.RemoveStrays(ctx, going, quarantine)
	if len(errs) != len(going) {
		return fmt.Errorf("%d answers for %d strays", len(errs), len(going))
	}
	if err := ctx.Err(); err != nil {
		return err // what was done is found out when it goes on
	}
	var (
		failures int
		failure  error // the first
	)
	for i, s := range going {
		switch {
		case errs[i] == nil:
			p.removed(s)
		case errors.Is(errs[i], ErrChanged):
			p.result.Counts[CountKeptChanged]++
		default:
			failures++
			if failure == nil {
				failure = errs[i]
			}
			p.failed(s, errs[i])
		}
	}
	if failures > 0 {
		p.logger.WarnContext(ctx, "reconcile: strays could not be removed, the next run tries again",
			"run", p.run.ID, "strays", failures, "of", len(going), "error", failure)
	}
	return nil
}

func (p *removal) removed(s Stray) {
	if p.run.Policy == PolicyQuarantine {
		s.RemovedTo = s.Quarantined(p.run.Quarantine)
	}
	p.result.Removed = append(p.result.Removed, s)
	p.result.Counts[CountRemoved]++
	p.result.Counts[CountRemovedBytes] += s.SizeBytes
	p.result.Unused--
}

func (p *removal) failed(s Stray, err error) {
	s.LastError = bounded(err.Error())
	p.result.Failed = append(p.result.Failed, s)
	p.result.Counts[CountKeptUnclear]++
}

// maxError is how many bytes of an error are kept.
const maxError = 500

// bounded makes text fit a row.
func bounded(text string) string {
	if len(text) > maxError {
		text = text[:maxError]
	}
	return plain(text)
}

// plain leaves out of a text what Postgres cannot hold.
func plain(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}
