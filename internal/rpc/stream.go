package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

const (
	// aliveEvery is how often a stream sends something, so that a client whose network went away without a word notices, and so
	// does the server; proxies end streams on which nothing comes, many after a minute.
	aliveEvery = 15 * time.Second
	// streamLimit is how long a stream is served. Clients that begin again from time to time spread over the processes that
	// there are.
	streamLimit = time.Hour
	// writeTime is how long a client may take to read what is sent to it. One that does not read holds a stream, and a
	// process that wants to stop, for no longer.
	writeTime = 10 * time.Second
)

var (
	errStopping    = connect.NewError(connect.CodeUnavailable, errors.New("this process is stopping: watch again"))
	errStreamLimit = connect.NewError(connect.CodeUnavailable, errors.New("the stream was served for as long as one is: watch again"))
)

// life is how long streams live.
type life struct {
	stopping <-chan struct{}
	alive    time.Duration
	limit    time.Duration
}

// follow calls send at first, and again whenever changed has something, until it is over, and alive when nothing was sent
// for a while.
func follow[T any](ctx context.Context, l life, changed <-chan T, send func() (sent, over bool, err error), alive func() error) error {
	limit := time.NewTimer(l.limit - rand.N(l.limit/10+1)) // those that began together do not end together
	defer limit.Stop()
	keepAlive := time.NewTicker(l.alive)
	defer keepAlive.Stop()
	for {
		sent, over, err := send()
		if err != nil || over {
			return err
		}
		if sent {
			keepAlive.Reset(l.alive)
		}
	quiet:
		for {
			select {
			case <-changed:
				break quiet
			case <-keepAlive.C:
				if err := alive(); err != nil {
					return err
				}
			case <-l.stopping:
				return errStopping
			case <-limit.C:
				return errStreamLimit
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.DeadlineExceeded) { // the caller's own
					return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the time that the caller gave is over: watch again"))
				}
				return ctx.Err()
			}
		}
	}
}

// withWriteTime bounds each write of a stream. [http.Server] has a time for the whole answer only, which would end it.
func withWriteTime(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == coatcheckv1connect.UploadServiceWatchUploadProcedure || r.URL.Path == coatcheckv1connect.AdminServiceWatchOverviewProcedure {
			w = &timedWriter{ResponseWriter: w, controller: http.NewResponseController(w), limit: limit}
		}
		next.ServeHTTP(w, r)
	})
}

// timedWriter takes the deadline back after each write: a stream of HTTP/2 ends by one that passes while nothing is written.
type timedWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
}

// Write implements [http.ResponseWriter].
func (w *timedWriter) Write(p []byte) (int, error) {
	defer w.within()()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (w *timedWriter) Flush() {
	defer w.within()()
	_ = w.controller.Flush() // whoever writes next is told
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) within() func() {
	if err := w.controller.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return func() {} // of a test, which has no connection
	}
	return func() { _ = w.controller.SetWriteDeadline(time.Time{}) }
}
