package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

const (
	faultClients = 4
	// faultPause is how long a client rests between two uploads.
	faultPause = 60 * time.Millisecond
)

// faultTraffic is clients that upload, and claim, or do not. What fails they try again, for as long as it takes.
type faultTraffic struct {
	s    *faultSite
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	claimed map[uuid.UUID]string
	stories map[string]int
	retries int
	broken  string // what no client should see
}

func (s *faultSite) traffic() *faultTraffic {
	ctx, stop := context.WithCancel(context.Background())
	f := &faultTraffic{s: s, stop: stop, claimed: map[uuid.UUID]string{}, stories: map[string]int{}}
	for i := range faultClients {
		f.wg.Go(func() {
			for random := rand.New(rand.NewPCG(*seed, uint64(100+i))); ctx.Err() == nil; time.Sleep(faultPause) {
				f.upload(random)
			}
		})
	}
	return f
}

// end stops the clients when each has finished what it was doing.
func (f *faultTraffic) end() {
	f.stop()
	f.wg.Wait()
}

// count counts a finished story.
func (f *faultTraffic) count(story string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stories[story]++
}

// done is how many stories were finished.
func (f *faultTraffic) done() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.stories {
		n += k
	}
	return n
}

// upload is one client's story.
func (f *faultTraffic) upload(random *rand.Rand) {
	created, ok := f.call("UploadService/CreateUpload", crashCreate(uuid.NewString()))
	if !ok {
		return
	}
	id := uuid.MustParse(created["media"].(map[string]any)["id"].(string))
	dice := random.IntN(100)
	if dice < 12 {
		f.s.due(id.String())
		f.count("never uploaded")
		return
	}
	if !f.put(created["request"].(map[string]any)) {
		return
	}
	switch {
	case dice < 24:
		f.s.due(id.String())
		f.count("unclaimed")
	case dice < 36:
		if _, ok := f.call("UploadService/CancelUpload", map[string]any{"mediaId": id.String()}); ok {
			f.count("cancelled")
		}
	default:
		if _, ok := f.call("MediaService/ConfirmMedia", crashClaim(id)); !ok {
			return
		}
		if dice < 44 {
			if _, ok := f.call("MediaService/ReleaseMedia", crashClaim(id)); ok {
				f.count("released")
			}
			return
		}
		f.mu.Lock()
		f.claimed[id] = crashText
		f.mu.Unlock()
		f.count("claimed")
	}
}

// faultPassing are Connect's codes that tell a client to try again.
var faultPassing = map[any]bool{"unavailable": true, "deadline_exceeded": true, "aborted": true, "resource_exhausted": true, "canceled": true}

// call makes a call until it succeeds. A refusal that does not say that it will pass is a violation: the client would
// give up.
func (f *faultTraffic) call(procedure string, request map[string]any) (answer map[string]any, ok bool) {
	for began := time.Now(); ; {
		status, answer, err := crashCall(faultQuiet{f.s.t}, f.s.api, f.s.token, procedure, request)
		switch {
		case err == nil && status == http.StatusOK:
			return answer, true
		case err == nil && !faultPassing[answer["code"]]:
			f.report("%s: status %d: %v", procedure, status, answer)
			return nil, false
		case time.Since(began) > faultPatience:
			f.report("%s fails for %s: %d, %v, %v", procedure, faultPatience, status, answer, err)
			return nil, false
		}
		f.again()
	}
}

// put sends a presigned request until the object is there.
func (f *faultTraffic) put(request map[string]any) (ok bool) {
	for began := time.Now(); ; {
		status, err := crashPut(faultQuiet{f.s.t}, request, crashText)
		if err == nil && (status == http.StatusOK || status == http.StatusPreconditionFailed) {
			return true
		}
		if time.Since(began) > faultPatience {
			f.report("a PUT fails for %s: %d, %v", faultPatience, status, err)
			return false
		}
		f.again()
	}
}

func (f *faultTraffic) again() {
	f.mu.Lock()
	f.retries++
	f.mu.Unlock()
	time.Sleep(50*time.Millisecond + rand.N(100*time.Millisecond))
}

// report is a violation. The test's own goroutine tells of it.
func (f *faultTraffic) report(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == "" {
		f.broken = fmt.Sprintf(format, args...)
	}
}

// faultQuiet is a test whose requests outlive its end, since they are tried again until they succeed.
type faultQuiet struct{ testing.TB }

// Context implements [testing.TB].
func (faultQuiet) Context() context.Context { return context.Background() }
