package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// TestWatchEndsWithTheProcess: a stream tells of what the process's roles do, and neither is cut off by the process's stop nor
// holds it up.
func TestWatchEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	api, stop := dev(t, t.TempDir())
	created := call(t, api, "UploadService/CreateUpload", map[string]any{"contentType": "text/plain", "sizeBytes": 5})
	id := created["media"].(map[string]any)["id"].(string)
	w, err := coatcheckv1connect.NewUploadServiceClient(http.DefaultClient, api).WatchUpload(t.Context(),
		connect.NewRequest(&coatcheckv1.WatchUploadRequest{MediaIds: []string{id}}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	expect := func(want coatcheckv1.MediaState) {
		t.Helper()
		if !w.Receive() {
			t.Fatal(w.Err())
		}
		if got := w.Msg().GetMedia().GetState(); got != want {
			t.Fatalf("told %s, want %s", got, want)
		}
	}
	expect(coatcheckv1.MediaState_MEDIA_STATE_PENDING)
	send(t, created["request"].(map[string]any), "hello")
	expect(coatcheckv1.MediaState_MEDIA_STATE_UPLOADED)
	if status := stop(); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	if w.Receive() || connect.CodeOf(w.Err()) != connect.CodeUnavailable {
		t.Errorf("the stream ended as %v", w.Err())
	}
}

// send makes a presigned request.
func send(t *testing.T, request map[string]any, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), request["method"].(string), request["url"].(string), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range request["headers"].(map[string]any) {
		req.Header.Set(name, value.(string))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
}

// slowUploads tells nothing for a while.
type slowUploads struct {
	coatcheckv1connect.UnimplementedUploadServiceHandler
	quiet time.Duration
}

func (s slowUploads) WatchUpload(ctx context.Context, _ *connect.Request[coatcheckv1.WatchUploadRequest], stream *connect.ServerStream[coatcheckv1.WatchUploadResponse]) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.quiet):
		return stream.Send(&coatcheckv1.WatchUploadResponse{Media: &coatcheckv1.Media{Id: "late"}})
	}
}

// TestStreamOutlivesTheTimeForBodies: that is taken back when the request has been read, which the library does to its end
// before the stream begins.
func TestStreamOutlivesTheTimeForBodies(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	_, handler := coatcheckv1connect.NewUploadServiceHandler(slowUploads{quiet: 3 * limit})
	server := httptest.NewUnstartedServer(withBodyTime(limit, handler))
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
		w, err := coatcheckv1connect.NewUploadServiceClient(client, server.URL).WatchUpload(t.Context(), connect.NewRequest(&coatcheckv1.WatchUploadRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		if !w.Receive() || w.Msg().GetMedia().GetId() != "late" {
			t.Errorf("HTTP/2 %t: %v", http2, w.Err())
		}
		w.Close()
	}
}
