package awsemu_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// wire is a connection on which a request is sent bit by bit.
type wire struct {
	e    *env
	conn net.Conn
}

func (e *env) dial() *wire {
	e.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.http.URL, "http://"))
	e.ok(err)
	e.t.Cleanup(func() { _ = conn.Close() })
	e.ok(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	return &wire{e, conn}
}

func (w *wire) write(s string) {
	w.e.t.Helper()
	_, err := w.conn.Write([]byte(s))
	w.e.ok(err)
}

// head sends the head of a request that announces a body of length bytes.
func (w *wire) head(method, rawURL string, h http.Header, length int) {
	w.e.t.Helper()
	u, err := url.Parse(rawURL)
	w.e.ok(err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, u.RequestURI(), u.Host, length)
	for name, values := range h {
		if name != "Host" && name != "Content-Length" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
		}
	}
	w.write(b.String() + "\r\n")
}

func (w *wire) answer() (status int, header http.Header) {
	w.e.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(w.conn), nil)
	w.e.ok(err)
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func newHTTP(h http.Handler) *httptest.Server { return httptest.NewServer(h) }
