package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Verb is what a pass would do to a media.
type Verb string

const (
	// VerbLand means to record that it has been uploaded: it becomes UPLOADED, with a full claim window.
	VerbLand Verb = "land"
	// VerbDelete means to delete its object, by way of DELETING.
	VerbDelete Verb = "delete"
	// VerbForget means to forget its tombstone.
	VerbForget Verb = "forget"
	// VerbSkip means to leave it for later, because S3 could not be asked for it.
	VerbSkip Verb = "skip"
)

// Action is what a pass would do to one media, and why.
type Action struct {
	Media *media.Media
	Verb  Verb
	Why   string // a sentence without its full stop
}

// Preview tells each what RunOnce would do now to each media, changing nothing, and returns what the result would be if
// nothing failed. S3 is asked as in a pass. It ends at the first error, also one that each returns.
//
// Media that another sweeper has leased, and deletions that wait for their next attempt, are not due and not told.
func (s *Sweeper) Preview(ctx context.Context, each func(Action) error) (Result, error) {
	var r Result
	for _, state := range []media.State{media.StatePending, media.StateUploaded, media.StateDeleting, media.StateDeleted} {
		if err := s.previewState(ctx, state, &r, each); err != nil {
			return r, fmt.Errorf("previewing %s media: %w", state, err)
		}
	}
	return r, nil
}

func (s *Sweeper) previewState(ctx context.Context, state media.State, r *Result, each func(Action) error) error {
	var after *media.Media
	for {
		due := func() ([]*media.Media, error) { return s.store.Due(ctx, state, after, s.config.BatchSize) }
		var (
			ms    []*media.Media
			looks []look
			err   error
		)
		if state == media.StatePending {
			ms, looks, err = s.lookAt(ctx, due)
		} else {
			ms, err = due()
		}
		if err != nil {
			return err
		}
		for i, m := range ms {
			var l look
			if looks != nil {
				l = looks[i]
			}
			if err := each(s.action(m, l, r)); err != nil {
				return err
			}
		}
		if len(ms) < s.config.BatchSize {
			return ctx.Err()
		}
		after = ms[len(ms)-1]
	}
}

func (r *Result) delete(m *media.Media) {
	r.Deleted++
	r.DeletedBytes += m.SizeBytes
}

// action decides as a pass would, and counts.
func (s *Sweeper) action(m *media.Media, l look, r *Result) Action {
	ago := func(t time.Time) string { return s.now().Sub(t).Round(time.Second).String() + " ago" }
	switch m.State {
	case media.StatePending:
		over := "its upload window ended " + ago(m.DueAt)
		if l.err != nil {
			r.HeadErrors++
			return Action{m, VerbSkip, over + ", and S3 could not be asked for it: " + l.err.Error()}
		}
		if !l.found {
			r.NeverUploaded++
			r.delete(m)
			return Action{m, VerbDelete, "never uploaded: " + over + ", and S3 does not have it"}
		}
		if wrong := m.Observe(l.object).Mismatch; wrong != "" {
			r.Rejected++
			r.delete(m)
			return Action{m, VerbDelete, "rejected: " + over + ", and what S3 has is not what was declared: " + wrong}
		}
		r.Landed++
		return Action{m, VerbLand, over + ", but S3 has it: its notification was lost or is late"}
	case media.StateUploaded:
		r.Unclaimed++
		r.delete(m)
		return Action{m, VerbDelete, "unclaimed: nothing had confirmed it when its claim window ended " + ago(m.DueAt)}
	case media.StateDeleting:
		r.delete(m)
		why := fmt.Sprintf("%s: became DELETING %s", m.Reason, ago(m.DeletingAt))
		if m.LastError != "" {
			why += fmt.Sprintf(", and attempt %d failed: %s", m.Attempts, m.LastError)
		}
		return Action{m, VerbDelete, why}
	default:
		r.Purged++
		return Action{m, VerbForget, "deleted " + ago(m.DeletedAt) + ", and no upload can still arrive: what came unnoticed is deleted first"}
	}
}
