package torture

import (
	"sync"
	"time"
)

// proxyEffect is one request or one statement that a proxy was asked to pass on.
type proxyEffect struct {
	Server string // "postgres", "s3" or "sqs"
	Name   string // the operation, as the AWS API spells it; of a statement, how it begins
}

func (e proxyEffect) String() string { return e.Server + " " + e.Name }

// proxyCut says where the connection of an effect is cut.
type proxyCut int

const (
	proxyWhole    proxyCut = iota // it is not
	proxyBefore                   // the server never hears of it
	proxyRequest                  // the server gets half of the request
	proxyAnswered                 // the server does it, and the client gets nothing
	proxyAnswer                   // the server does it, and the client gets half of the answer
)

// proxyFate is what becomes of an effect.
type proxyFate struct {
	Delay  time.Duration // before it is passed on
	Cut    proxyCut
	Status int    // of an HTTP answer in place of the server's, when not 0
	Code   string // AWS's, with Status
	Number int    // for the watch itself: which effect of this name it is
}

// proxyWatch is told of every effect. Both methods may take their time: the effect, or its answer, waits. They are
// called for several connections at once.
type proxyWatch interface {
	// Before is called before an effect is passed on.
	Before(e proxyEffect) proxyFate
	// After is called when the server has answered, and before the client is. False cuts the connection instead.
	After(e proxyEffect, fate proxyFate) bool
}

// proxyGate counts what is under way, and lets one wait until nothing is.
type proxyGate struct {
	mu      sync.Mutex
	n       int
	changed chan struct{} // closed when n changes
}

func (g *proxyGate) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += n
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// wait returns when nothing is under way, or reports false after the limit.
func (g *proxyGate) wait(limit time.Duration) bool {
	deadline := time.After(limit)
	for {
		g.mu.Lock()
		if g.n == 0 {
			g.mu.Unlock()
			return true
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
