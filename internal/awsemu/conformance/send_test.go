package conformance

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"
)

// sendChunked makes a PUT whose length is not announced.
func (e *env) sendChunked(u string, header http.Header, content []byte) answer {
	req, err := http.NewRequestWithContext(e.Context(), "PUT", u, io.NopCloser(bytes.NewReader(content)))
	e.must(err, "making a request")
	copyHeader(req, header)
	req.ContentLength = -1
	return e.do(req)
}

// sendSlowly makes a PUT that pauses in the middle of its body.
func (e *env) sendSlowly(u string, header http.Header, content []byte, pause time.Duration) answer {
	half := len(content) / 2
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(content[:half]) // An error here is one of the request, which says so itself.
		time.Sleep(pause)
		_, _ = w.Write(content[half:])
		_ = w.Close()
	}()
	defer r.Close()
	req, err := http.NewRequestWithContext(e.Context(), "PUT", u, r)
	e.must(err, "making a request")
	copyHeader(req, header)
	req.ContentLength = int64(len(content))
	// Not through e.http, whose transport reads a small body in advance.
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.Fatalf("a slow PUT: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	e.must(err, "reading the answer to a slow PUT")
	return answer{status: resp.StatusCode, header: resp.Header, body: b}
}

func copyHeader(req *http.Request, header http.Header) {
	for name, values := range header {
		if !strings.EqualFold(name, "Host") && !strings.EqualFold(name, "Content-Length") {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
}
