package outbox_test

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"connectrpc.com/connect"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// TestOutbox builds coatcheck and runs two of it: one that keeps uploads for a day, and one that sweeps them at once.
func TestOutbox(t *testing.T) {
	t.Parallel()
	binary := build(t)
	patient := coatcheck(t, binary)
	hasty := coatcheck(t, binary, "--claim-window", "2s", "--sweep-interval", "200ms")
	for name, test := range map[string]func(*testing.T, string){
		"killed while saving":        killedWhileSaving,
		"killed while relaying":      killedWhileRelaying,
		"killed while deleting":      killedWhileDeleting,
		"killed between both":        killedBetweenSavingAndDeleting,
		"several relays":             severalRelays,
		"gone":                       gone,
		"not landed":                 notLanded,
		"claimed by another":         claimedByAnother,
		"coatcheck is down":          unreachable,
		"deleted before it is saved": deletedBeforeClaimed,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, patient) })
	}
	t.Run("a transaction that does not commit", func(t *testing.T) { t.Parallel(); swept(t, hasty) })
}

const (
	confirmedState = coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED
	deletedState   = coatcheckv1.MediaState_MEDIA_STATE_DELETED
)

// swept is the pain that this is about: an upload whose post was never saved. It is not confirmed, and it goes.
func swept(t *testing.T, api string) {
	p := newProduct(t, api)
	m := p.upload(t)
	p.kill(t, job{Save: []string{m}, StopAt: inside, Hold: "media_outbox"})
	p.nothingSaved(t)
	eventually(t, "the sweep takes it", func() bool { return p.get(t, m).GetState() == deletedState })
	if reason := p.get(t, m).GetDeleteReason(); reason != coatcheckv1.DeleteReason_DELETE_REASON_UNCLAIMED {
		t.Errorf("it is gone as %s", reason)
	}
}

func (p *product) nothingSaved(t *testing.T) {
	t.Helper()
	if posts := p.query(t, `SELECT count(*) FROM post`); posts != "0" || !p.idle(t) {
		t.Errorf("there are %s posts, and the outbox is empty: %t", posts, p.idle(t))
	}
}

func killedWhileSaving(t *testing.T, api string) {
	p := newProduct(t, api)
	m := p.upload(t)
	p.kill(t, job{Save: []string{m}, StopAt: inside, Hold: "media_outbox"})
	p.nothingSaved(t)
	p.kill(t, job{Save: []string{m}, StopAt: committed})
	if p.get(t, m).GetState() == confirmedState {
		t.Error("who confirmed it?")
	}
	p.claimed(t, p.onlyPost(t), m)
}

func (p *product) onlyPost(t *testing.T) (id int64) {
	t.Helper()
	if _, err := fmt.Sscan(p.query(t, `SELECT id FROM post`), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// claimed lets a relay end what a killed one has left, and checks that the media is the post's.
func (p *product) claimed(t *testing.T, post int64, mediaID string) {
	t.Helper()
	p.run(t, "the outbox is empty", func() bool { return p.idle(t) })
	m := p.get(t, mediaID)
	state := p.query(t, `SELECT state FROM picture WHERE post_id = $1 AND media_id = $2`, post, mediaID)
	outcome := p.query(t, `SELECT string_agg(outcome, ' ') FROM media_outbox WHERE post_id = $1 AND media_id = $2`, post, mediaID)
	if m.GetState() != confirmedState || m.GetClaim() != fmt.Sprintf("post/%d", post) || state != "claimed" || outcome != "ok" {
		t.Errorf("it is %s by %q, the picture %q, the outcome %q", m.GetState(), m.GetClaim(), state, outcome)
	}
}

func killedWhileRelaying(t *testing.T, api string) {
	p := newProduct(t, api)
	for _, test := range []struct {
		job       job
		confirmed bool // already when it was killed
		done      bool // and written down
	}{
		{job{StopAt: leased}, false, false},
		{job{StopAt: called}, true, false},
		{job{StopAt: inside, Hold: "picture"}, true, false},
		{job{StopAt: settled}, true, true},
	} {
		m := p.upload(t)
		post := p.save(t, m)
		test.job.Relay = true
		p.kill(t, test.job)
		if confirmed := p.get(t, m).GetState() == confirmedState; confirmed != test.confirmed || p.idle(t) != test.done {
			t.Errorf("killed when %s: confirmed %t, want %t; done %t, want %t", test.job.StopAt, confirmed, test.confirmed, p.idle(t), test.done)
		}
		p.claimed(t, post, m)
	}
}

func killedWhileDeleting(t *testing.T, api string) {
	p := newProduct(t, api)
	for _, j := range []job{
		{StopAt: inside, Hold: "post"}, {StopAt: committed},
		{Relay: true, StopAt: leased}, {Relay: true, StopAt: called}, {Relay: true, StopAt: settled},
	} {
		m := p.upload(t)
		post := p.save(t, m)
		p.claimed(t, post, m)
		if j.Relay {
			if err := p.Delete(t.Context(), post); err != nil {
				t.Fatal(err)
			}
		} else {
			j.Delete = post
		}
		p.kill(t, j)
		if j.StopAt == inside { // it was not deleted, so it keeps its picture
			if !p.idle(t) || p.get(t, m).GetState() != confirmedState || p.onlyPost(t) != post {
				t.Errorf("what was not committed has happened: %s", p.get(t, m).GetState())
			}
			if err := p.Delete(t.Context(), post); err != nil {
				t.Fatal(err)
			}
		}
		p.released(t, m)
	}
}

// released lets a relay end what is left, and checks that nothing holds the media any more.
func (p *product) released(t *testing.T, mediaID string) {
	t.Helper()
	p.run(t, "the outbox is empty", func() bool { return p.idle(t) })
	if m := p.get(t, mediaID); m.GetDeleteReason() != coatcheckv1.DeleteReason_DELETE_REASON_RELEASED {
		t.Errorf("it is %s, %s", m.GetState(), m.GetDeleteReason())
	}
	if left := p.query(t, `SELECT count(*) FROM picture WHERE media_id = $1`, mediaID); left != "0" {
		t.Errorf("%s pictures are left", left)
	}
}

// killedBetweenSavingAndDeleting: the post is deleted while its claim is still being told. The claim does not come after
// the release, whoever is killed.
func killedBetweenSavingAndDeleting(t *testing.T, api string) {
	p := newProduct(t, api)
	for _, at := range []point{leased, called} {
		m := p.upload(t)
		post := p.save(t, m)
		p.kill(t, job{Relay: true, StopAt: at})
		if err := p.Delete(t.Context(), post); err != nil {
			t.Fatal(err)
		}
		p.kill(t, job{Relay: true, StopAt: called}) // the claim, once more
		p.kill(t, job{Relay: true, StopAt: leased}) // and once more, or the release
		p.released(t, m)
	}
}

func deletedBeforeClaimed(t *testing.T, api string) {
	p := newProduct(t, api)
	m := p.upload(t)
	if err := p.Delete(t.Context(), p.save(t, m)); err != nil {
		t.Fatal(err)
	}
	p.released(t, m)
}

func severalRelays(t *testing.T, api string) {
	p := newProduct(t, api)
	posts := map[string]int64{}
	for range 30 {
		m := p.upload(t)
		posts[m] = p.save(t, m)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r := p.relay()
			for n := 1; n > 0; {
				var err error
				if n, err = r.RunOnce(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for m, post := range posts {
		p.claimed(t, post, m)
	}
}

// gone: what was cancelled before the claim came is lost, for good, and the post knows. The other picture is not.
func gone(t *testing.T, api string) {
	p := newProduct(t, api)
	cancelled, kept := p.upload(t), p.upload(t)
	post := p.save(t, cancelled, kept)
	if _, err := p.uploads.CancelUpload(t.Context(), connect.NewRequest(&coatcheckv1.CancelUploadRequest{MediaId: cancelled})); err != nil {
		t.Fatal(err)
	}
	p.claimed(t, post, kept)
	p.lost(t, post, cancelled, "gone")
	// Deleting such a post ends, too.
	if err := p.Delete(t.Context(), post); err != nil {
		t.Fatal(err)
	}
	p.released(t, kept)
}

func (p *product) lost(t *testing.T, post int64, mediaID, outcome string) {
	t.Helper()
	p.run(t, "the outbox is empty", func() bool { return p.idle(t) })
	state := p.query(t, `SELECT state FROM picture WHERE post_id = $1 AND media_id = $2`, post, mediaID)
	got := p.query(t, `SELECT outcome FROM media_outbox WHERE post_id = $1 AND media_id = $2`, post, mediaID)
	if state != "lost" || got != outcome {
		t.Errorf("the picture is %q, the outcome %q, want %q", state, got, outcome)
	}
}

func claimedByAnother(t *testing.T, api string) {
	p := newProduct(t, api)
	m := p.upload(t)
	first, second := p.save(t, m), p.save(t, m)
	p.claimed(t, first, m)
	p.lost(t, second, m, "claim_conflict")
	// The second post's end does not take the first one's picture.
	if err := p.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	p.run(t, "the outbox is empty", func() bool { return p.idle(t) })
	if got := p.get(t, m); got.GetState() != confirmedState || got.GetClaim() != fmt.Sprintf("post/%d", first) {
		t.Errorf("it is %s by %q", got.GetState(), got.GetClaim())
	}
}

// notLanded: a client that saves before its upload has ended is waited for.
func notLanded(t *testing.T, api string) {
	p := newProduct(t, api)
	m, send := p.declare(t)
	post := p.save(t, m)
	p.run(t, "it was asked for twice", func() bool { return p.query(t, `SELECT max(attempts) FROM media_outbox`) == "2" })
	if p.idle(t) || p.query(t, `SELECT last_error FROM media_outbox`) == "" {
		t.Error("it was given up")
	}
	send()
	p.claimed(t, post, m)
}

// unreachable: while coatcheck is down posts are saved, and claimed once it is up.
func unreachable(t *testing.T, api string) {
	p := newProduct(t, api)
	m := p.upload(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody is there now
	down := p.relay()
	down.Coatcheck.Media = coatcheckv1connect.NewMediaServiceClient(http.DefaultClient, "http://"+listener.Addr().String())
	post := p.save(t, m)
	if n, err := down.RunOnce(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if p.idle(t) || p.query(t, `SELECT last_error FROM media_outbox`) == "" || p.query(t, `SELECT state FROM picture`) != "claiming" {
		t.Error("it was given up")
	}
	p.claimed(t, post, m)
}
