package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/media"
)

// modelClient is a browser's: it speaks HTTP and knows nothing of S3.
func modelClient() *http.Client {
	return &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute, MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
}

// request is the presigned one, with a body.
func (h *history) request(p media.Presigned, body io.Reader, size int) (*http.Request, error) {
	r, err := http.NewRequestWithContext(h.ctx, p.Method, p.URL, body)
	if err != nil {
		return nil, err
	}
	r.Header, r.ContentLength = p.Header.Clone(), int64(size)
	return r, nil
}

// send sends a request and returns the status, the etag and the version of the answer.
func (h *history) send(r *http.Request) (int, string, string, error) {
	answer, err := h.client.Do(r)
	if err != nil {
		return 0, "", "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, "", "", err
	}
	return answer.StatusCode, trimQuotes(answer.Header.Get("ETag")), answer.Header.Get("X-Amz-Version-Id"), nil
}

// accepted takes note of an upload that S3 has stored.
func (h *history) accepted(m *modelMedia, p modelPut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.step = h.step
	m.puts = append(m.puts, p)
	h.counts["objects created"]++
}

// upload sends the content by the presigned request, as a client would.
func (h *history) upload(m *modelMedia, variant int) {
	body := m.content(variant)
	r, err := h.request(m.request, bytes.NewReader(body), len(body))
	if err != nil {
		h.found("%v", err)
		return
	}
	want := http.StatusOK
	switch left := m.request.ExpiresAt.Sub(h.Now()); {
	case left <= 0:
		want = http.StatusForbidden
	case h.live(m) != nil:
		want = http.StatusPreconditionFailed
	case m.spec.Checksum && variant != 0:
		want = http.StatusBadRequest
	}
	status, etag, version, err := h.send(r)
	if err != nil {
		h.found("uploading %s: %v", m, err)
		return
	}
	if status != want && !h.together {
		h.found("uploading %s: S3 answered %d, want %d", m, status, want)
	}
	if status == http.StatusOK {
		h.accepted(m, modelPut{body: body, etag: etag, version: version, right: variant == 0 || !m.spec.Checksum})
	}
}

// misuse sends by the presigned request what it is not for: S3 must refuse it.
func (h *history) misuse(m *modelMedia, how string) {
	body := m.content(0)
	if how == "size" {
		body = append(body, 'x')
	}
	if how == "content" {
		body = bytes.ToUpper(bytes.Repeat([]byte("x"), len(body)))
	}
	r, err := h.request(m.request, bytes.NewReader(body), len(body))
	if err != nil {
		h.found("%v", err)
		return
	}
	if how == "type" {
		r.Header.Set("Content-Type", "text/html")
	}
	status, _, _, err := h.send(r)
	if err != nil {
		h.found("misusing the request of %s: %v", m, err)
	} else if status < 400 {
		h.found("%s: S3 accepted an upload of another %s, with %d (R3)", m, how, status)
	}
	h.count("uploads refused by S3", 1)
}

// overwrite puts an object whatever is there, as a store does that honours no If-None-Match.
func (h *history) overwrite(m *modelMedia, body []byte) {
	out, err := h.s3.PutObject(h.ctx, &s3.PutObjectInput{
		Bucket: &h.bucket, Key: &m.key, Body: bytes.NewReader(body), ContentType: &m.spec.Type,
	})
	if err != nil {
		h.found("overwriting %s: %v", m, err)
		return
	}
	h.accepted(m, modelPut{
		body: body, etag: trimQuotes(aws.ToString(out.ETag)), version: aws.ToString(out.VersionId), right: len(body) == m.spec.Size,
	})
}

// modelSlow is an upload whose signature S3 has accepted and whose body has not ended.
type modelSlow struct {
	media  *modelMedia
	body   []byte
	pipe   *io.PipeWriter
	answer chan modelAnswer
}

type modelAnswer struct {
	status        int
	etag, version string
	err           error
}

var errModelCut = errors.New("the upload was cut off")

// begin begins a slow upload.
func (h *history) begin(m *modelMedia) {
	body := m.content(0)
	reader, writer := io.Pipe()
	r, err := h.request(m.request, reader, len(body))
	if err != nil {
		h.found("%v", err)
		return
	}
	r.Header.Set("Expect", "100-continue") // the answer to it tells that the signature was accepted
	began := make(chan struct{})
	r = r.WithContext(httptrace.WithClientTrace(h.ctx, &httptrace.ClientTrace{Got100Continue: func() { close(began) }}))
	s := &modelSlow{media: m, body: body, pipe: writer, answer: make(chan modelAnswer, 1)}
	go func() {
		var a modelAnswer
		a.status, a.etag, a.version, a.err = h.send(r)
		s.answer <- a
		writer.CloseWithError(errModelCut)
	}()
	select {
	case <-began:
	case a := <-s.answer: // refused at once
		if a.err != nil {
			h.found("beginning a slow upload of %s: %v", m, a.err)
		}
		return
	}
	if _, err := writer.Write(body[:len(body)/2]); err != nil {
		h.found("beginning a slow upload of %s: %v", m, err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slow = append(h.slow, s)
	h.counts["slow uploads"]++
}

// finish ends a slow upload, and S3 stores it unless another object is there, or a deletion came in between.
func (h *history) finish(s *modelSlow) {
	_, err := s.pipe.Write(s.body[len(s.body)/2:])
	s.pipe.Close()
	a := <-s.answer
	switch {
	case a.err != nil:
		h.found("ending a slow upload of %s: %v %v", s.media, a.err, err)
	case a.status == http.StatusOK:
		h.accepted(s.media, modelPut{body: s.body, etag: a.etag, version: a.version, right: true})
	case a.status != http.StatusPreconditionFailed && a.status != http.StatusConflict:
		h.found("ending a slow upload of %s: S3 answered %d", s.media, a.status)
	}
}

// cut ends a slow upload before its body has: S3 stores nothing.
func (s *modelSlow) cut() {
	s.pipe.CloseWithError(errModelCut)
	<-s.answer
}

// download gets what is served for a media.
func (h *history) download(m *modelMedia) ([]byte, error) {
	row, err := h.store.Get(h.ctx, modelScope, m.id)
	if err != nil {
		return nil, err
	}
	p, err := h.objects.PresignGet(h.ctx, row, time.Minute)
	if err != nil {
		return nil, err
	}
	r, err := h.request(p, http.NoBody, 0)
	if err != nil {
		return nil, err
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("S3 answered %d", answer.StatusCode)
	}
	return body, err
}
