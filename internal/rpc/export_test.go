package rpc

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// KnowsKind reports whether the API has a name for a kind of finding.
func KnowsKind(k reconcile.Kind) bool { return kinds[k] != 0 }

// Plain reports that a message needs no asking of protovalidate.
var Plain = plain

// WithWriteTime bounds each write of a stream.
var WithWriteTime = withWriteTime

// Follow is how a stream is served that sends something alive after a time, and lives for another.
func Follow(ctx context.Context, alive, limit time.Duration, stopping, changed <-chan struct{}, send func() (sent, over bool, err error), sendAlive func() error) error {
	return follow(ctx, life{stopping: stopping, alive: alive, limit: limit}, changed, send, sendAlive)
}
