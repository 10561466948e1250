package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestGate: no receive is answered, and time does not begin, before as many are there as were asked for; without a gate
// the first is answered.
func TestGate(t *testing.T) {
	t.Parallel()
	clock := &callClock{open: make(chan struct{})}
	answered := make(chan struct{}, 10)
	server := httptest.NewServer(clock.around(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered <- struct{}{} })))
	defer server.Close()
	a := &awsServer{plain: server.URL}
	ask := func(operation string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		_ = got.Body.Close()
	}
	if _, err := a.calls(2); err != nil {
		t.Fatal(err)
	}
	first := make(chan struct{})
	go func() {
		defer close(first)
		ask("ReceiveMessage")
	}()
	for there := false; !there; time.Sleep(time.Millisecond) {
		clock.mu.Lock()
		there = clock.calls.Receives == 1
		if !clock.first.IsZero() {
			t.Error("time begins before the second is there")
		}
		clock.mu.Unlock()
	}
	if len(answered) > 0 {
		t.Error("the first is answered before the second is there")
	}
	ask("ReceiveMessage")
	<-first
	ask("DeleteMessageBatch")
	if c, err := a.calls(0); err != nil || c.Receives != 2 || c.Deletes != 1 || c.Took <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
	ask("ReceiveMessage") // would not end if the gate were still shut
}
