package awsclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// smallBody is the size in bytes up to which a request's body is copied. Every call of SQS and S3 that is made here is
// smaller, except for DeleteObjects with a thousand keys.
const smallBody = 64 << 10

// OwnBodies returns a transport that sends every request with a body of its own.
//
// The SDK (smithy-go, ClientHandler.Handle) closes the request's body as soon as the answer's header is there. The
// write loop of net/http may still be about to look whether the body goes on: a closed one answers io.EOF from its
// WriteTo, which the write loop takes for a failure, and closes the connection under the answer that is being read.
// On a fast network 1 to 2 % of calls end so, with "use of closed network connection". A ReceiveMessage that does has
// hidden up to ten messages until their visibility timeout, and has counted one of their receives.
//
// A small body is copied, which also lets net/http send it in one packet with the header, and repeat it on another
// connection when an idle one turns out to be closed. From a larger one only WriteTo is hidden: what is left of a
// closed body is then a plain end.
func OwnBodies(next http.RoundTripper) http.RoundTripper {
	return ownBodies{next: next}
}

type ownBodies struct {
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t ownBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(r)
	}
	own := r.WithContext(r.Context()) // a RoundTripper must not change the request that it is given
	if r.ContentLength <= 0 || r.ContentLength > smallBody {
		own.Body = struct{ io.ReadCloser }{r.Body}
		return t.next.RoundTrip(own)
	}
	body := make([]byte, r.ContentLength+1) // one more than there should be
	n, err := io.ReadFull(r.Body, body)
	body = body[:n]
	closeErr := r.Body.Close()
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("reading the request's body: %w", err)
	case closeErr != nil:
		return nil, fmt.Errorf("closing the request's body: %w", closeErr)
	case int64(len(body)) != r.ContentLength:
		return nil, fmt.Errorf("the request's body does not have the %d bytes that its header says", r.ContentLength)
	}
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	own.Body = io.NopCloser(bytes.NewReader(body))
	return t.next.RoundTrip(own)
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] reach the transport within.
func (t ownBodies) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
