package torture

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const (
	// crashWorkers is how many stories are told at a time.
	crashWorkers = 2
	// crashWhole is the -seconds from which every point is gone through, however long it takes.
	crashWhole = 60
	// crashQuick is how long all points may take for all of them to be gone through in any case.
	crashQuick = 40 * time.Second
	// crashKinds is among how many kinds of test the time is shared.
	crashKinds = 3
)

// crashKill is one story in which the process is killed at one point.
type crashKill struct {
	story crashStory
	point crashPoint
}

// TestCrashes kills the process at every effect of every story: once before the server hears of the effect, and once
// after the server has done it and before the process learns so (R10). Where all points would take longer than there
// is, the seed chooses.
func TestCrashes(t *testing.T) {
	t.Parallel()
	crashBuild(t)
	var (
		kills    []crashKill
		expected time.Duration
	)
	for _, story := range crashStories {
		t.Run(story.name, func(t *testing.T) {
			watch := newCrashWatch(nil)
			began := time.Now()
			story.tell(t, watch)
			points := watch.points()
			if len(points) < 4 {
				t.Fatalf("the story has %d points only: the proxies do not see what it does", len(points))
			}
			expected += time.Since(began) * time.Duration(len(points)) / crashWorkers
			for _, p := range points {
				t.Log(p)
				kills = append(kills, crashKill{story, p})
			}
		})
	}
	if t.Failed() {
		return
	}
	rand.New(rand.NewPCG(*seed, 3)).Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	limit := share(crashKinds)
	if *seconds >= crashWhole || expected <= crashQuick {
		limit = time.Hour
	}
	began := time.Now()
	done := crashAll(t, kills, limit)
	total.add("crash points", len(kills))
	t.Logf("killed at %d of %d points in %.1f s", done, len(kills), time.Since(began).Seconds())
}

// crashAll goes through the points until the limit, several at a time, and returns how many it did.
func crashAll(t *testing.T, kills []crashKill, limit time.Duration) (done int) {
	next := make(chan crashKill)
	var workers sync.WaitGroup
	for range crashWorkers {
		workers.Go(func() {
			for k := range next {
				t.Run(fmt.Sprintf("%s/%s", k.story.name, k.point), func(t *testing.T) { k.run(t) })
			}
		})
	}
	for began := time.Now(); done < len(kills) && time.Since(began) < limit; done++ {
		next <- kills[done]
	}
	close(next)
	workers.Wait()
	return done
}

func (k crashKill) run(t *testing.T) {
	t.Helper()
	watch := newCrashWatch(&k.point)
	k.story.tell(t, watch)
	if !watch.died() {
		t.Errorf("the point was not reached")
		return
	}
	total.add("kills", 1)
	total.add("kills: "+k.story.name, 1)
}
