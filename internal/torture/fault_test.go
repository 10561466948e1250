package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/queue"
)

const (
	// faultLasts is how long a fault goes on, at least.
	faultLasts = 150 * time.Millisecond
	// faultMost is how long one may go on, that is to be seen in a metric before it ends.
	faultMost = 20 * time.Second
)

// TestFaults lets everything behind the service fail, one thing after another, under traffic. The process is never
// restarted: it comes back by itself, and nothing is lost.
func TestFaults(t *testing.T) {
	t.Parallel()
	crashBuild(t)
	s := newFaultSite(t)
	s.within("ready at first", s.ready)
	f := s.traffic()
	random := rand.New(rand.NewPCG(*seed, 5))
	// Every kind once, and then on for as long as there is time.
	for began, round := time.Now(), 0; round == 0 || time.Since(began) < share(crashKinds); round++ {
		for _, k := range random.Perm(len(faultKinds)) {
			if round > 0 && time.Since(began) > share(crashKinds) {
				break
			}
			s.suffer(faultKinds[k])
		}
	}
	s.recover(f)
	s.settle(f)
}

// suffer lets a fault happen for a while, and then things go well for a while.
func (s *faultSite) suffer(k faultKind) {
	s.t.Helper()
	before := 0.0
	if k.until != "" {
		before = s.metric(k.until)
	}
	s.leave()
	waiting := s.w.pending() // for its object
	began := time.Now()
	s.watch.begin(k.name, k.fate)
	s.w.put(waiting, crashBody(waiting)) // so that there is something to consume, whatever becomes of the clients
	count, end := s.watch.count, s.watch.end
	if k.during != nil {
		count, end = k.during(s)
	}
	time.Sleep(faultLasts + rand.N(faultLasts))
	for count() == 0 || k.until != "" && s.metric(k.until) <= before {
		if time.Since(began) > faultMost {
			s.t.Errorf("%s: %d faults within %s, and %q does not grow", k.name, count(), faultMost, k.until)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	n := count()
	end()
	s.w.emulator.Faults().DropNotifications(1) // some upload's
	total.add("faults", n)
	total.add("faults: "+k.name, n)
	s.t.Logf("%-32s %4d faults in %.1f s", k.name, n, time.Since(began).Seconds())
	time.Sleep(faultLasts / 2)
	s.checkRuns()
}

// recover waits until the service is well again, while the clients go on.
func (s *faultSite) recover(f *faultTraffic) {
	s.t.Helper()
	began, done := time.Now(), f.done()
	s.within("ready again", s.ready)
	s.within("clients are served again", func() error {
		if n := f.done() - done; n < 3*faultClients {
			return fmt.Errorf("%d uploads were finished since", n)
		}
		return nil
	})
	f.end()
	if f.broken != "" {
		violated(s.t, "a client was told what is not so: %s", f.broken)
	}
	s.t.Logf("served again after %.1f s; clients: %v, %d retries", time.Since(began).Seconds(), f.stories, f.retries)
	for story, n := range f.stories {
		total.add("faults: uploads "+story, n)
	}
}

// settle waits until everything that was told of is recorded and all windows are over, and checks what is left.
func (s *faultSite) settle(f *faultTraffic) {
	s.t.Helper()
	began := time.Now()
	s.within("the queue is empty", func() error {
		d := s.w.depths()
		if d.DeadLetters != (queue.Depth{}) {
			violated(s.t, "R4: an outage has made dead letters: %+v", d.DeadLetters)
			return nil
		}
		if d.Queue != (queue.Depth{}) {
			return fmt.Errorf("%+v", d.Queue)
		}
		return nil
	})
	s.t.Logf("the queue is empty after %.1f s", time.Since(began).Seconds())
	for _, name := range []string{faultReceiveErrors, faultRetries, faultSweepErrors, faultHeadErrors, "coatcheck_sweep_passes_total", faultRuns} {
		if s.metric(name) == 0 {
			s.t.Errorf("%s is 0 after all this", name)
		}
	}
	s.w.claimed = f.claimed
	s.reconciled()
	s.within("the sweeper has nothing to do", func() error {
		var n int
		s.w.must(s.w.db.NewRaw("SELECT count(*) FROM coatcheck.media WHERE due_at <= now()").Scan(context.Background(), &n))
		if n > 0 {
			return fmt.Errorf("%d media are due", n)
		}
		return nil
	})
	s.w.checkInstant()
	s.within("all windows are over", func() error {
		rows := s.w.rows()
		if len(rows) <= len(f.claimed) {
			return nil
		}
		_, err := s.w.db.ExecContext(context.Background(), "UPDATE coatcheck.media SET due_at = now() WHERE due_at > now()")
		s.w.must(err)
		time.Sleep(200 * time.Millisecond)
		return fmt.Errorf("%d rows are left, %d media are claimed", len(rows), len(f.claimed))
	})
	s.w.checkEnd()
	for id := range f.claimed {
		s.download(id)
		break // the others are read directly
	}
	if s.child.done(0) {
		violated(s.t, "R10: the service ended by itself: %v", s.child.err)
	}
}

// download reads a claimed media as a product's user does.
func (s *faultSite) download(id uuid.UUID) {
	s.t.Helper()
	status, answer, err := crashCall(s.t, s.api, s.token, "MediaService/CreateDownload", map[string]any{"mediaId": id.String()})
	if err != nil || status != http.StatusOK {
		violated(s.t, "a download: %d, %v, %v", status, answer, err)
	}
}
