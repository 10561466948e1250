package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// bodyTime is how long the body of a call may take to arrive. It is less than drainTime, so that a caller who stops in
// the middle of one cannot make a process that wants to stop fail. The largest body takes as long at 5 Mbit/s.
const bodyTime = 15 * time.Second

// withBodyTime ends calls whose body does not arrive in time, and their connections. [http.Server] has a time for the
// whole request only, which goes on after the body has been read and would end streams that are answered for longer. Streams of a
// caller's own messages, which only reflection has, end with it too.
func withBodyTime(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		controller := http.NewResponseController(w)
		if err := controller.SetReadDeadline(time.Now().Add(limit)); err == nil {
			r.Body = &timedBody{ReadCloser: r.Body, controller: controller}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody takes the deadline back when the body has been read to its end.
type timedBody struct {
	io.ReadCloser
	controller *http.ResponseController
}

// Read implements [io.Reader].
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, errors.New("the body did not arrive in time") // the error's own text tells addresses of this machine
	}
	if errors.Is(err, io.EOF) {
		_ = b.controller.SetReadDeadline(time.Time{}) // it could be set, so it can be taken back
	}
	return n, err
}
