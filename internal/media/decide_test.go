package media_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

var decidedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// in is a media in the state, as the table's CHECK constraints have it. claim is what holds or held it.
func in(state media.State, reason media.Reason, claim string) *media.Media {
	m := &media.Media{
		ID: uuid.MustParse("01936b2e-7f00-7abc-8def-0123456789ab"), Tenant: "acme", Owner: "alice", State: state, Reason: reason,
		Claim: claim, DueAt: decidedAt.Add(time.Hour), Revision: 7,
	}
	if claim != "" {
		m.ConfirmedAt = decidedAt.Add(-time.Hour)
	}
	if state == media.StateConfirmed {
		m.DueAt = time.Time{}
	}
	return m
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		m       *media.Media
		changed bool
		code    media.Code
		says    string
	}{
		{"pending", in(media.StatePending, "", ""), false, media.CodeNotLanded, "has not been uploaded"},
		{"uploaded", in(media.StateUploaded, "", ""), true, "", ""},
		{"same claim", in(media.StateConfirmed, "", "post/1"), false, "", ""},
		{"another claim", in(media.StateConfirmed, "", "post/2"), false, media.CodeClaimConflict, "another claim"},
		{"claim that begins alike", in(media.StateConfirmed, "", "post/11"), false, media.CodeClaimConflict, "another claim"},
		{"deleting", in(media.StateDeleting, media.ReasonUnclaimed, ""), false, media.CodeGone, "claim window"},
		{"deleting, held by the same", in(media.StateDeleting, media.ReasonReleased, "post/1"), false, media.CodeGone, "released"},
		{"deleted", in(media.StateDeleted, media.ReasonNeverUploaded, ""), false, media.CodeGone, "was deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := *test.m
			changed, refusal := test.m.Confirm("post/1", decidedAt)
			if changed != test.changed {
				t.Errorf("changed: %t, want %t", changed, test.changed)
			}
			checkRefusal(t, refusal, &before, test.code, test.says)
			want := before
			if changed {
				want.State, want.Claim, want.ConfirmedAt, want.DueAt, want.Revision = media.StateConfirmed, "post/1", decidedAt, time.Time{}, 8
			}
			if !reflect.DeepEqual(*test.m, want) {
				t.Errorf("it is\n%+v, want\n%+v", *test.m, want)
			}
		})
	}
}

// TestDiscard goes through every state, with and without a claim, for each of the three wishes.
func TestDiscard(t *testing.T) {
	t.Parallel()
	type answer struct {
		changed bool
		reason  media.Reason
		code    media.Code
	}
	var (
		stays   = answer{}
		cancels = answer{changed: true, reason: media.ReasonCancelled}
		frees   = answer{changed: true, reason: media.ReasonReleased}
		refused = func(c media.Code) answer { return answer{code: c} }
	)
	for _, test := range []struct {
		name                    string
		m                       func() *media.Media
		cancel, delete, release answer
	}{
		{"pending", func() *media.Media { return in(media.StatePending, "", "") }, cancels, cancels, refused(media.CodeNotConfirmed)},
		{"uploaded", func() *media.Media { return in(media.StateUploaded, "", "") }, cancels, cancels, refused(media.CodeNotConfirmed)},
		{"confirmed by it", func() *media.Media { return in(media.StateConfirmed, "", "post/1") }, refused(media.CodeConfirmed), frees, frees},
		{"confirmed by another", func() *media.Media { return in(media.StateConfirmed, "", "post/2") }, refused(media.CodeConfirmed), frees, refused(media.CodeClaimConflict)},
		{"deleting, never claimed", func() *media.Media { return in(media.StateDeleting, media.ReasonRejected, "") }, stays, stays, refused(media.CodeGone)},
		{"deleting, was its", func() *media.Media { return in(media.StateDeleting, media.ReasonReleased, "post/1") }, stays, stays, stays},
		{"deleting, was another's", func() *media.Media { return in(media.StateDeleting, media.ReasonReleased, "post/2") }, stays, stays, refused(media.CodeClaimConflict)},
		{"deleted, never claimed", func() *media.Media { return in(media.StateDeleted, media.ReasonUnclaimed, "") }, stays, stays, refused(media.CodeGone)},
		{"deleted, was its", func() *media.Media { return in(media.StateDeleted, media.ReasonLate, "post/1") }, stays, stays, stays},
		{"deleted, was another's", func() *media.Media { return in(media.StateDeleted, media.ReasonReleased, "post/2") }, stays, stays, refused(media.CodeClaimConflict)},
	} {
		for event, want := range map[media.Event]answer{
			media.EventCancel: test.cancel, media.EventDelete: test.delete, media.EventRelease: test.release,
		} {
			t.Run(test.name+"/"+string(event), func(t *testing.T) {
				t.Parallel()
				m := test.m()
				before := *m
				changed, refusal := m.Discard(event, "post/1", decidedAt)
				if changed != want.changed {
					t.Errorf("changed: %t, want %t", changed, want.changed)
				}
				checkRefusal(t, refusal, &before, want.code, "media "+before.ID.String())
				after := before
				if want.changed {
					after.State, after.Reason, after.DeletingAt, after.DueAt, after.Revision = media.StateDeleting, want.reason, decidedAt, decidedAt, 8
				}
				if !reflect.DeepEqual(*m, after) {
					t.Errorf("it is\n%+v, want\n%+v", *m, after)
				}
			})
		}
	}
}

func checkRefusal(t *testing.T, refusal *media.Error, m *media.Media, code media.Code, says string) {
	t.Helper()
	if refusal == nil {
		if code != "" {
			t.Errorf("it was not refused, want %s", code)
		}
		return
	}
	if refusal.Code != code || refusal.MediaID != m.ID || refusal.State != m.State {
		t.Errorf("refused with %+v, want %s", refusal, code)
	}
	if !strings.Contains(refusal.Error(), says) {
		t.Errorf("it says %q, without %q", refusal, says)
	}
	if m.Claim != "" && m.Claim != "post/1" && strings.Contains(refusal.Error(), m.Claim) {
		t.Errorf("it tells another's claim: %q", refusal)
	}
}

// TestGoneSaysWhy: every reason has words of its own, in both states.
func TestGoneSaysWhy(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, state := range []media.State{media.StateDeleting, media.StateDeleted} {
		for _, reason := range media.Reasons {
			e := media.Gone(in(state, reason, ""))
			if e.Code != media.CodeGone || e.State != state || e.Reason != reason {
				t.Errorf("%s, %s: got %+v", state, reason, e)
			}
			if !strings.Contains(e.Message, string(reason)) || strings.Contains(e.Message, ": ;") {
				t.Errorf("%s, %s: it says %q", state, reason, e.Message)
			}
			texts = append(texts, e.Message)
		}
	}
	slices.Sort(texts)
	if n := len(slices.Compact(texts)); n != 2*len(media.Reasons) {
		t.Errorf("%d different texts, want %d", n, 2*len(media.Reasons))
	}
}

func TestInvalidNamesTheField(t *testing.T) {
	t.Parallel()
	e := media.Invalid("size_bytes", "size_bytes.limit", "is %d, the limit is %d", 9, 8)
	if e.Code != media.CodeInvalid || e.Field != "size_bytes" || e.Rule != "size_bytes.limit" || e.Error() != "size_bytes: is 9, the limit is 8" {
		t.Errorf("got %+v", e)
	}
}

func TestBatchErrorSaysHowMany(t *testing.T) {
	t.Parallel()
	items := make([]*media.Error, 100)
	for i := range 50 {
		items[i] = media.NotFound(uuid.UUID{byte(i + 1)})
	}
	text := (&media.BatchError{Items: items}).Error()
	if !strings.Contains(text, "50 of 100") || strings.Count(text, "not found") != 3 {
		t.Errorf("it says %q", text)
	}
}
