package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// stallServer serves with a short time for bodies, and tells of each call's outcome.
func stallServer(t *testing.T, handle func(r *http.Request) error) (s *httptest.Server, outcome chan error) {
	t.Helper()
	outcome = make(chan error, 10)
	s = httptest.NewUnstartedServer(withBodyTime(200*time.Millisecond, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		outcome <- handle(r)
	})))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s, outcome
}

func readAll(r *http.Request) error {
	_, err := io.ReadAll(r.Body)
	return err
}

func wait(t *testing.T, outcome chan error) error {
	t.Helper()
	select {
	case err := <-outcome:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the call is still under way after 10s")
		return nil
	}
}

// TestStalledBody: a caller that stops in the middle of its body does not hold the call, the connection, or the
// process that wants to stop.
func TestStalledBody(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*http.Request) error{
		"read":    readAll,
		"refused": func(*http.Request) error { return io.ErrUnexpectedEOF }, // answered without reading, as without a token
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, outcome := stallServer(t, handle)
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{")
			if wait(t, outcome) == nil {
				t.Error("the body was read to its end, which never came")
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the connection was not closed: %v", err)
			}
		})
	}
}

func TestStalledBodyHTTP2(t *testing.T) {
	t.Parallel()
	s, outcome := stallServer(t, readAll)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	body, stalled := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer func() { cancel(); stalled.Close() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	if wait(t, outcome) == nil {
		t.Error("the body was read to its end, which never came")
	}
}

// TestSlowCall: the time is for the body only. A call may take longer, and the connection serves the next one.
func TestSlowCall(t *testing.T) {
	t.Parallel()
	s, outcome := stallServer(t, func(r *http.Request) error {
		if err := readAll(r); err != nil {
			return err
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(600 * time.Millisecond):
			return nil
		}
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, body := range []string{"hello", "", "again"} {
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err := wait(t, outcome); err != nil {
			t.Fatalf("body %q: %v", body, err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("body %q: %v", body, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
			t.Errorf("body %q: status %d, error %v", body, answer.StatusCode, err)
		}
	}
}
