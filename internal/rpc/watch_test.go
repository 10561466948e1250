package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/rpc"
	"github.com/coatcheck/coatcheck/internal/watch"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// watching gives a service a hub that runs until the test ends.
func watching(t testing.TB) func(*rpc.Config) {
	return func(c *rpc.Config) {
		hub := watch.NewHub(c.Store.(watch.Store), time.Now, slog.New(slog.DiscardHandler), watch.NewMetrics(prometheus.NewRegistry()))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = hub.Run(ctx)
		}()
		t.Cleanup(func() {
			cancel()
			<-done
		})
		c.Watcher = hub
	}
}

// stream is an answer of Connect's streaming protocol in JSON, as fetch or curl see it.
// https://connectrpc.com/docs/protocol/#streaming-request
type stream struct {
	res *http.Response
}

func (s *service) stream(t *testing.T, who caller, procedure string, request any, header ...string) *stream {
	t.Helper()
	message, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/coatcheck.v1."+procedure, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/connect+json")
	req.Header.Set("Authorization", "Bearer "+s.tokens[who.tenant])
	if who.owner != "" {
		req.Header.Set(auth.OwnerHeader, who.owner)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.ProtoMajor != 1 {
		t.Fatalf("answered by %s", res.Proto)
	}
	return &stream{res}
}

// next returns the next message, and whether it is the last, which holds an error or nothing.
func (s *stream) next(t *testing.T) (message map[string]any, last bool) {
	t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(s.res.Body, head[:]); err != nil {
		t.Fatalf("status %d: %v", s.res.StatusCode, err)
	}
	text := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(s.res.Body, text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &message); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return message, head[0]&2 != 0
}

// state returns the state that the next message tells.
func (s *stream) state(t *testing.T) string {
	t.Helper()
	message, last := s.next(t)
	m, ok := message["media"].(map[string]any)
	if last || !ok {
		t.Fatalf("got %v", message)
	}
	return m["state"].(string)
}

// refusal returns the code of a stream that ends, and says nothing before.
func (s *stream) refusal(t *testing.T) string {
	t.Helper()
	message, last := s.next(t)
	e, _ := message["error"].(map[string]any)
	if !last {
		t.Fatalf("got %v", message)
	}
	code, _ := e["code"].(string)
	return code
}

// TestWatchUpload by plain HTTP/1.1, as a browser does it, to its end.
func TestWatchUpload(t *testing.T) {
	t.Parallel()
	s := newService(t, watching(t))
	id, request := s.create(t)
	w := s.stream(t, alice, "UploadService/WatchUpload", map[string]any{"mediaIds": []string{id}}, "Origin", "https://app.example.com")
	if got := w.res.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example.com" {
		t.Errorf("allowed origin %q", got)
	}
	expect := func(want string) {
		t.Helper()
		if got := w.state(t); got != "MEDIA_STATE_"+want {
			t.Fatalf("told %s, want %s", got, want)
		}
	}
	expect("PENDING")
	if status := put(t, request, "hello"); status != http.StatusOK {
		t.Fatal(status)
	}
	s.must(t, backend, "MediaService/ConfirmMedia", map[string]any{"mediaId": id, "claim": "post/1"})
	got := w.state(t)
	if got == "MEDIA_STATE_UPLOADED" { // the two may be told as one
		got = w.state(t)
	}
	if got != "MEDIA_STATE_CONFIRMED" {
		t.Fatalf("told %s", got)
	}
	s.must(t, backend, "MediaService/ReleaseMedia", map[string]any{"mediaId": id, "claim": "post/1"})
	expect("DELETING")
	leased, err := s.store.LeaseDeleting(t.Context(), 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.FinishDeleting(t.Context(), leased); err != nil {
		t.Fatal(err)
	}
	expect("DELETED")
	if code := w.refusal(t); code != "" {
		t.Errorf("it ended as %s", code)
	}
}

// TestWatchUploadProtocols: gRPC and gRPC-Web too.
func TestWatchUploadProtocols(t *testing.T) {
	t.Parallel()
	s := newService(t, watching(t))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	for name, c := range map[string]struct {
		client *http.Client
		option connect.ClientOption
	}{
		"connect": {http.DefaultClient, connect.WithGRPCWeb()},
		"gRPC":    {h2, connect.WithGRPC()},
		"HTTP/2":  {h2, connect.WithProtoJSON()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, _ := s.create(t)
			req := connect.NewRequest(&coatcheckv1.WatchUploadRequest{MediaIds: []string{id, strings.ToUpper(id)}})
			req.Header().Set("Authorization", "Bearer "+s.tokens["acme"])
			req.Header().Set(auth.OwnerHeader, "alice")
			w, err := coatcheckv1connect.NewUploadServiceClient(c.client, s.url, c.option).WatchUpload(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for _, want := range []coatcheckv1.MediaState{coatcheckv1.MediaState_MEDIA_STATE_PENDING, coatcheckv1.MediaState_MEDIA_STATE_DELETING} {
				if !w.Receive() {
					t.Fatal(w.Err())
				}
				if got := w.Msg().GetMedia().GetState(); got != want {
					t.Errorf("told %s, want %s", got, want)
				}
				s.must(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": id})
			}
		})
	}
}

// TestWatchUploadRefuses, in one message with the detail that every refusal has, and tells nothing before (R9).
func TestWatchUploadRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, watching(t))
	id, _ := s.create(t)
	unknown := uuid.NewString()
	many := make([]string, 101)
	for i := range many {
		many[i] = id
	}
	for name, test := range map[string]struct {
		who  caller
		ids  []string
		code string
	}{
		"another owner's":  {bob, []string{id}, "not_found"},
		"another tenant's": {globex, []string{id}, "not_found"},
		"unknown":          {alice, []string{id, unknown}, "not_found"},
		"no owner":         {backend, []string{id}, "invalid_argument"},
		"none":             {alice, nil, "invalid_argument"},
		"no id":            {alice, []string{"x"}, "invalid_argument"},
		"too many":         {alice, many, "invalid_argument"},
	} {
		w := s.stream(t, test.who, "UploadService/WatchUpload", map[string]any{"mediaIds": test.ids})
		message, last := w.next(t)
		text := fmt.Sprint(message)
		if e, ok := message["error"].(map[string]any); !last || !ok || e["code"] != test.code || name != "no owner" && !strings.Contains(text, "ErrorInfo") {
			t.Errorf("%s: got %v", name, message)
		}
	}
	// Whoever has no token is refused before that, as by every call.
	res, err := http.Post(s.url+"/coatcheck.v1.UploadService/WatchUpload", "application/connect+json", strings.NewReader("\x00\x00\x00\x00\x02{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); !strings.Contains(string(answer), "unauthenticated") {
		t.Errorf("without a token: %s", answer)
	}
}

// TestWatchUploadEndsWithTheProcess, and says that it may be begun again.
func TestWatchUploadEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	s := newService(t, watching(t), func(c *rpc.Config) { c.Stopping = stopping })
	id, _ := s.create(t)
	w := s.stream(t, alice, "UploadService/WatchUpload", map[string]any{"mediaIds": []string{id}})
	w.state(t)
	close(stopping)
	if code := w.refusal(t); code != "unavailable" {
		t.Errorf("it ended as %s", code)
	}
}

// TestFollow: a stream says that it is alive while there is nothing to tell, and ends in time.
func TestFollow(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	nothing := func() (bool, bool, error) { return false, false, nil }
	gone := errors.New("gone")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	alive := 0
	for name, test := range map[string]struct {
		ctx          context.Context
		alive, limit time.Duration
		send         func() (bool, bool, error)
		sendAlive    func() error
		want         connect.Code // 0: none
		err          error
	}{
		"over":          {t.Context(), never, never, func() (bool, bool, error) { return true, true, nil }, nil, 0, nil},
		"cannot send":   {t.Context(), never, never, func() (bool, bool, error) { return false, false, gone }, nil, 0, gone},
		"alive":         {t.Context(), time.Millisecond, never, nothing, func() error { alive++; return map[bool]error{true: gone}[alive == 3] }, 0, gone},
		"limit":         {t.Context(), never, time.Millisecond, nothing, nil, connect.CodeUnavailable, nil},
		"caller's time": {late, never, never, nothing, nil, connect.CodeDeadlineExceeded, nil},
		"caller left":   {ended, never, never, nothing, nil, 0, context.Canceled},
	} {
		err := rpc.Follow(test.ctx, test.alive, test.limit, nil, nil, test.send, test.sendAlive)
		switch {
		case test.want != 0 && connect.CodeOf(err) != test.want, test.err != nil && !errors.Is(err, test.err), test.want == 0 && test.err == nil && err != nil:
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClientThatDoesNotRead does not hold a stream for ever, by HTTP/1.1 or 2. One that reads is served, however long
// nothing is written.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	outcome := make(chan error, 1)
	server := httptest.NewUnstartedServer(rpc.WithWriteTime(limit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if r.URL.RawQuery == "reads" {
			time.Sleep(3 * limit)
			_, err := w.Write([]byte("late"))
			w.(http.Flusher).Flush()
			outcome <- err
			return
		}
		chunk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(chunk); err != nil {
				outcome <- err
				return
			}
		}
	})))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	for _, http2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		get := func(query string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+coatcheckv1connect.UploadServiceWatchUploadProcedure+"?"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		res := get("reads")
		if text, err := io.ReadAll(res.Body); err != nil || string(text) != "late" {
			t.Errorf("HTTP/2 %t: who reads got %q, %v", http2, text, err)
		}
		if err := <-outcome; err != nil {
			t.Errorf("HTTP/2 %t: who reads: %v", http2, err)
		}
		res.Body.Close()
		res = get("")
		select {
		case err := <-outcome:
			if err == nil {
				t.Errorf("HTTP/2 %t: no error", http2)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("HTTP/2 %t: it is still writing after 30 s", http2)
		}
		res.Body.Close()
	}
}
