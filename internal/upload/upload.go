// Package upload is a client of the service: it does what a browser or a phone does, step by step.
package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/internal/auth"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// Config says which service to talk to.
type Config struct {
	Server string        // base URL
	Token  string        // service token; empty where none is needed
	Owner  string        // owner to act for
	Wait   time.Duration // how long to wait for a landing to be known
}

// Client uploads files. It is safe for concurrent use.
type Client struct {
	uploads coatcheckv1connect.UploadServiceClient
	medias  coatcheckv1connect.MediaServiceClient
	http    *http.Client
	wait    time.Duration
}

// NewClient returns a client.
func NewClient(c Config) *Client {
	credentials := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if c.Token != "" {
				req.Header().Set("Authorization", "Bearer "+c.Token)
			}
			if c.Owner != "" {
				req.Header().Set(auth.OwnerHeader, c.Owner)
			}
			return next(ctx, req)
		}
	})
	client, base, options := &http.Client{}, strings.TrimRight(c.Server, "/"), connect.WithInterceptors(credentials)
	return &Client{
		uploads: coatcheckv1connect.NewUploadServiceClient(client, base, options),
		medias:  coatcheckv1connect.NewMediaServiceClient(client, base, options),
		http:    client,
		wait:    c.Wait,
	}
}

// File is what to upload.
type File struct {
	Content     io.ReadSeeker
	SizeBytes   int64
	Name        string
	ContentType string
	OnProgress  func(sent int64) // told how many bytes have been sent; may start again at 0
}

const (
	attempts     = 4
	firstBackoff = 250 * time.Millisecond
)

// Upload declares the file with its SHA-256, sends it, and waits until the service knows that it has landed. A PUT that
// fails for the network's or S3's sake is tried again with a fresh URL.
func (c *Client) Upload(ctx context.Context, f File) (*coatcheckv1.Media, error) {
	checksum, err := sum(f.Content)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	declared := &coatcheckv1.CreateUploadRequest{
		ContentType: f.ContentType, SizeBytes: f.SizeBytes, ChecksumSha256: checksum, FileName: f.Name,
		IdempotencyKey: rand.Text(), // the attempts below are one upload
	}
	for attempt := 1; ; attempt++ {
		created, err := c.uploads.CreateUpload(ctx, connect.NewRequest(declared))
		if err != nil {
			return nil, err
		}
		media, request := created.Msg.GetMedia(), created.Msg.GetRequest()
		if request == nil { // it has landed: an earlier attempt got through after all
			return c.landed(ctx, media.GetId())
		}
		err = c.put(ctx, request, f)
		if err == nil {
			return c.landed(ctx, media.GetId())
		}
		if final, ok := errors.AsType[*refusedError](err); attempt == attempts || ctx.Err() != nil || ok && final.status < 500 && final.status != http.StatusForbidden {
			return nil, err
		}
		if err := sleep(ctx, firstBackoff<<attempt); err != nil {
			return nil, err
		}
	}
}

func sum(content io.ReadSeeker) (string, error) {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// refusedError is S3's no to a PUT.
type refusedError struct {
	status int
	body   string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("S3 refused the upload with status %d: %s", e.status, e.body)
}

// put sends the file. That the object is there already (412) is a success: only this upload can have put it there.
func (c *Client) put(ctx context.Context, presigned *coatcheckv1.PresignedRequest, f File) error {
	if _, err := f.Content.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	body := &counter{r: f.Content, told: f.OnProgress}
	req, err := http.NewRequestWithContext(ctx, presigned.GetMethod(), presigned.GetUrl(), io.NopCloser(body))
	if err != nil {
		return errors.New("the service sent a URL that cannot be used") // its text would hold the URL
	}
	for name, value := range presigned.GetHeaders() {
		req.Header.Set(name, value)
	}
	req.ContentLength = f.SizeBytes
	answer, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("sending to S3: %w", withoutURL(err))
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 2000))
	switch {
	case answer.StatusCode < 300, answer.StatusCode == http.StatusPreconditionFailed:
		return nil
	}
	return &refusedError{status: answer.StatusCode, body: s3Message(string(text))}
}

// landed waits until the service knows of the landing.
func (c *Client) landed(ctx context.Context, id string) (*coatcheckv1.Media, error) {
	deadline := time.Now().Add(c.wait)
	for pause := 20 * time.Millisecond; ; pause = min(pause*2, time.Second) {
		got, err := c.uploads.GetUpload(ctx, connect.NewRequest(&coatcheckv1.GetUploadRequest{MediaId: id}))
		if err != nil {
			return nil, err
		}
		media := got.Msg.GetMedia()
		switch media.GetState() {
		case coatcheckv1.MediaState_MEDIA_STATE_UPLOADED, coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED:
			return media, nil
		case coatcheckv1.MediaState_MEDIA_STATE_DELETING, coatcheckv1.MediaState_MEDIA_STATE_DELETED:
			return nil, fmt.Errorf("media %s is gone: %s", id, strings.ToLower(strings.TrimPrefix(media.GetDeleteReason().String(), "DELETE_REASON_")))
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("media %s was sent, and the service has not been notified within %s: is its consumer running?", id, c.wait)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// Confirm claims a media.
func (c *Client) Confirm(ctx context.Context, id, claim string) (*coatcheckv1.Media, error) {
	answer, err := c.medias.ConfirmMedia(ctx, connect.NewRequest(&coatcheckv1.ConfirmMediaRequest{MediaId: id, Claim: claim}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetMedia(), nil
}

// StateName is a state in one word, such as "UPLOADED".
func StateName(s coatcheckv1.MediaState) string {
	return strings.TrimPrefix(s.String(), "MEDIA_STATE_")
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
