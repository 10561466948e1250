package objectstore_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 700_000_000, time.UTC)

func offline(t *testing.T, c aws.CredentialsProvider) *objectstore.Store {
	t.Helper()
	return objectstore.New(client(t, "http://127.0.0.1:1", c), bucket, prefix, func() time.Time { return noon })
}

func query(t *testing.T, r media.Presigned) url.Values {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestPresignPutSignsWhatWasDeclared holds the header that a client is given against what the signature covers: each
// header that is missing from either would let another upload in, or keep this one out.
func TestPresignPutSignsWhatWasDeclared(t *testing.T) {
	t.Parallel()
	for _, declared := range []bool{true, false} {
		m := newMedia()
		want := http.Header{
			"Content-Length": {strconv.Itoa(len(content))}, "Content-Type": {"image/jpeg"}, "If-None-Match": {"*"},
			"X-Amz-Checksum-Sha256": {base64.StdEncoding.EncodeToString(sum[:])},
		}
		if !declared {
			m.ChecksumSHA256 = nil
			delete(want, "X-Amz-Checksum-Sha256")
		}
		r, err := offline(t, static).PresignPut(t.Context(), m, 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if r.Method != http.MethodPut || !maps.EqualFunc(r.Header, want, slices.Equal[[]string]) {
			t.Errorf("%s with %v, want %v", r.Method, r.Header, want)
		}
		signed := []string{"host"}
		for name := range want {
			signed = append(signed, strings.ToLower(name))
		}
		slices.Sort(signed)
		q := query(t, r)
		if got := q.Get("X-Amz-SignedHeaders"); got != strings.Join(signed, ";") {
			t.Errorf("signed are %s, want %s", got, signed)
		}
		if q.Get("X-Amz-Date") != "20260301T120000Z" || q.Get("X-Amz-Expires") != "300" {
			t.Errorf("signed at %s for %s s", q.Get("X-Amz-Date"), q.Get("X-Amz-Expires"))
		}
		for name := range q {
			if strings.Contains(strings.ToLower(name), "checksum") {
				t.Errorf("the query has %s, which would be signed but not be looked at", name)
			}
		}
		if want := noon.Truncate(time.Second).Add(5 * time.Minute); !r.ExpiresAt.Equal(want) {
			t.Errorf("expires at %v, want %v", r.ExpiresAt, want)
		}
	}
}

func TestPresignGetNeedsNoHeader(t *testing.T) {
	t.Parallel()
	m := newMedia(func(m *media.Media) { m.VersionID = "v1" })
	r, err := offline(t, static).PresignGet(t.Context(), m, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, r)
	if r.Method != http.MethodGet || len(r.Header) != 0 || q.Get("X-Amz-SignedHeaders") != "host" {
		t.Errorf("%s with %v, signed are %s", r.Method, r.Header, q.Get("X-Amz-SignedHeaders"))
	}
	if q.Get("versionId") != "v1" || q.Get("response-content-type") != "image/jpeg" ||
		!strings.HasPrefix(q.Get("response-content-disposition"), "attachment; ") {
		t.Errorf("the query is %v", q)
	}
}

// TestPresignEndsWithItsCredentials: a role's credentials may end before the URL does, and the URL with them.
func TestPresignEndsWithItsCredentials(t *testing.T) {
	t.Parallel()
	ending := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "token", CanExpire: true, Expires: noon.Add(time.Minute),
		}, nil
	})
	for ttl, want := range map[time.Duration]time.Time{
		time.Hour: noon.Add(time.Minute), 30 * time.Second: noon.Truncate(time.Second).Add(30 * time.Second),
	} {
		r, err := offline(t, ending).PresignPut(t.Context(), newMedia(), ttl)
		if err != nil {
			t.Fatal(err)
		}
		if !r.ExpiresAt.Equal(want) {
			t.Errorf("with %v to live it expires at %v, want %v", ttl, r.ExpiresAt, want)
		}
		if query(t, r).Get("X-Amz-Security-Token") != "token" {
			t.Error("the URL lacks the session's token")
		}
	}
}

func TestPresignRefuses(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{0, -time.Second, 1500 * time.Millisecond, 8 * 24 * time.Hour} {
		if _, err := offline(t, static).PresignPut(t.Context(), newMedia(), ttl); err == nil {
			t.Errorf("a time to live of %v was taken", ttl)
		}
	}
	empty := newMedia(func(m *media.Media) { m.SizeBytes = 0 })
	if _, err := offline(t, static).PresignPut(t.Context(), empty, time.Minute); err == nil {
		t.Error("an upload without a size was taken: its length would not be signed")
	}
}
