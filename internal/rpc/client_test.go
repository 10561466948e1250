package rpc_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/upload"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// notify stands in for the consumer: it tells the store of what has landed until the test ends.
func (s *service) notify(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			pending, err := s.store.List(ctx, media.Scope{Tenant: "acme"}, media.Page{State: media.StatePending, Limit: 100})
			for _, m := range pending {
				object, found, headErr := s.objects.Head(ctx, m.Key)
				if headErr == nil && found {
					_, err = s.store.Land(ctx, media.SourceNotification, []media.Landing{m.Observe(object)})
				}
			}
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
}

// TestClientThroughFaults uploads through an S3 that fails now and then. Whatever it answers, one upload is one media.
func TestClientThroughFaults(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("coat"), 200)
	put := awsemu.Match{Operation: "PutObject"}
	cases := []struct {
		name  string
		fault func(*awsemu.Faults)
		fails string // what the client says; empty when it gets through
	}{
		{"none", func(*awsemu.Faults) {}, ""},
		{"503 twice", func(f *awsemu.Faults) { f.Fail(put, 2, http.StatusServiceUnavailable, "SlowDown") }, ""},
		{"cut", func(f *awsemu.Faults) { f.Cut(put, 1) }, ""},
		{"stored, and the answer lost", func(f *awsemu.Faults) { f.CutAnswer(put, 1) }, ""},
		{"refused as if the URL had expired", func(f *awsemu.Faults) { f.Fail(put, 1, http.StatusForbidden, "AccessDenied") }, ""},
		{"503 for good", func(f *awsemu.Faults) { f.Fail(put, awsemu.Forever, http.StatusServiceUnavailable, "SlowDown") }, "SlowDown"},
		{"refused", func(f *awsemu.Faults) { f.Fail(put, awsemu.Forever, http.StatusBadRequest, "BadDigest") }, "BadDigest"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.notify(t)
			c.fault(s.aws.Faults())
			client := upload.NewClient(upload.Config{Server: s.url + "/", Token: s.tokens["acme"], Owner: "alice", Wait: 20 * time.Second})
			var sent int64
			m, err := client.Upload(t.Context(), upload.File{
				Content: bytes.NewReader(content), SizeBytes: int64(len(content)), Name: "coat.txt", ContentType: "text/plain",
				OnProgress: func(n int64) { sent = n },
			})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), "X-Amz") {
					t.Fatalf("got %v, %v", m, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.GetState() != coatcheckv1.MediaState_MEDIA_STATE_UPLOADED || sent != int64(len(content)) {
				t.Errorf("it is %s after %d bytes", upload.StateName(m.GetState()), sent)
			}
			listed := s.must(t, backend, "MediaService/ListMedia", map[string]any{})["media"].([]any)
			if len(listed) != 1 {
				t.Errorf("one upload made %d media", len(listed))
			}
			if m, err = client.Confirm(t.Context(), m.GetId(), "post/1"); err != nil || m.GetClaim() != "post/1" {
				t.Errorf("confirmed: %v, %v", m, err)
			}
		})
	}
}

// TestClientGivesUp when nobody tells the service of the landing, and says what to look at.
func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	s := newService(t)
	client := upload.NewClient(upload.Config{Server: s.url, Token: s.tokens["acme"], Owner: "alice", Wait: 100 * time.Millisecond})
	_, err := client.Upload(t.Context(), upload.File{Content: strings.NewReader("hello"), SizeBytes: 5, ContentType: "text/plain"})
	if err == nil || !strings.Contains(err.Error(), "is its consumer running?") {
		t.Errorf("got %v", err)
	}
}
