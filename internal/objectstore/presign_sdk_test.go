package objectstore_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

// atTime signs as the SDK does, at a time.
type atTime struct {
	*v4.Signer
	time time.Time
}

func (a atTime) PresignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time, optFns ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	return a.Signer.PresignHTTP(ctx, c, r, payloadHash, service, region, a.time.Truncate(time.Second), optFns...)
}

// fataler is what [testing.TB] and [rapid.T] have in common.
type fataler interface {
	Helper()
	Fatal(...any)
}

// sdk presigns by the SDK alone.
func sdk(t fataler, c *s3.Client, m *media.Media, put bool, ttl time.Duration, at time.Time) *v4.PresignedHTTPRequest {
	t.Helper()
	ctx := context.Background()
	options := func(o *s3.PresignOptions) {
		o.Expires = ttl
		o.Presigner = atTime{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), at}
		o.ClientOptions = append(o.ClientOptions, func(o *s3.Options) {
			o.RequestChecksumCalculation, o.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenRequired, aws.ResponseChecksumValidationWhenRequired
		})
	}
	client := s3.NewPresignClient(c)
	var (
		signed *v4.PresignedHTTPRequest
		err    error
	)
	if put {
		in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &m.Key, ContentLength: &m.SizeBytes, ContentType: &m.ContentType, IfNoneMatch: aws.String("*")}
		if len(m.ChecksumSHA256) > 0 {
			in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(m.ChecksumSHA256))
		}
		signed, err = client.PresignPutObject(ctx, in, options)
	} else {
		in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &m.Key, ResponseContentType: &m.ContentType,
			ResponseContentDisposition: aws.String(`attachment; filename="F__e.jpg"; filename*=UTF-8''F%C3%BC%C3%9Fe.jpg`)}
		if m.VersionID != "" {
			in.VersionId = &m.VersionID
		}
		signed, err = client.PresignGetObject(ctx, in, options)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestSignsAsTheSDKDoes: whatever the endpoint, the credentials and the key, the request is the SDK's own to the letter.
func TestSignsAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	session := aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("id", "secret", "a+session/token="))
	for name, change := range map[string]func(*s3.Options){
		"AWS":          func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = nil, false },
		"AWS, by path": func(o *s3.Options) { o.BaseEndpoint = nil },
		"dual stack": func(o *s3.Options) {
			o.BaseEndpoint, o.UsePathStyle = nil, false
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		},
		"accelerated":   func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = nil, false; o.UseAccelerate = true },
		"another place": func(o *s3.Options) { o.BaseEndpoint = aws.String("https://minio.example.com:9000/below/a/path") },
		"port 443":      func(o *s3.Options) { o.BaseEndpoint = aws.String("https://minio.example.com:443") },
		"port 80":       func(o *s3.Options) { o.BaseEndpoint = aws.String("http://minio.example.com:80") },
		"port 80, TLS":  func(o *s3.Options) { o.BaseEndpoint = aws.String("https://[::1]:80") },
		"a zone":        func(o *s3.Options) { o.BaseEndpoint = aws.String("http://[fe80::1%25eth0]:9000") },
		"by host":       func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = aws.String("https://s3.example.com"), false },
		"a session":     func(o *s3.Options) { o.Credentials = session },
	} {
		c := s3.New(client(t, "http://127.0.0.1:1", static).Options(), change)
		store := objectstore.New(c, bucket, prefix, func() time.Time { return noon })
		for _, key := range []string{newMedia().Key, "uploads/a b+c%20d.jpg", "ü/日本/🧥", "q?x=1&y#z", "'()*!$,:;=@~[]", "a//b/./../c"} {
			for _, declared := range []bool{true, false} {
				m := newMedia(func(m *media.Media) {
					m.Key = key
					if !declared {
						m.ChecksumSHA256, m.VersionID, m.ContentType = nil, "v 1+/=", "text/plain; charset=\"utf-8\""
					}
				})
				for _, put := range []bool{true, false} {
					ours := store.PresignGet
					if put {
						ours = store.PresignPut
					}
					got, err := ours(t.Context(), m, 5*time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					want := sdk(t, c, m, put, 5*time.Minute, noon)
					want.SignedHeader.Del("Host")
					where := fmt.Sprintf("%s, key %q, put %t", name, key, put)
					if got.Method != want.Method || !maps.EqualFunc(got.Header, want.SignedHeader, slices.Equal[[]string]) {
						t.Errorf("%s: %s with %v, want %s with %v", where, got.Method, got.Header, want.Method, want.SignedHeader)
					}
					if got.URL != want.URL {
						t.Errorf("%s:\n%s, want\n%s", where, got.URL, want.URL)
					}
					if _, err := url.Parse(got.URL); err != nil {
						t.Errorf("%s: %v", where, err)
					}
				}
			}
		}
	}
}

// TestSignsAnythingAsTheSDKDoes: whatever is declared.
func TestSignsAnythingAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1", static)
	store := objectstore.New(c, bucket, prefix, func() time.Time { return noon })
	rapid.Check(t, func(t *rapid.T) {
		m := newMedia(func(m *media.Media) {
			m.Key = rapid.StringN(1, 40, -1).Draw(t, "key")
			m.ContentType = rapid.StringMatching(`[ -~]{0,20}[!-~][ -~]{0,20}`).Draw(t, "content type")
			m.SizeBytes = rapid.Int64Min(1).Draw(t, "size")
		})
		got, err := store.PresignPut(context.Background(), m, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if want := sdk(t, c, m, true, time.Minute, noon); got.URL != want.URL {
			t.Fatalf("%s, want\n%s", got.URL, want.URL)
		}
	})
}

// TestSignsAsTheSDKDoesWhateverWasSignedBefore: what signatures of a day by one login have in common is kept.
func TestSignsAsTheSDKDoesWhateverWasSignedBefore(t *testing.T) {
	t.Parallel()
	at, login := noon, aws.Credentials{}
	c := client(t, "http://127.0.0.1:1", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return login, nil }))
	store, m := objectstore.New(c, bucket, prefix, func() time.Time { return at }), newMedia()
	for _, test := range []struct {
		after time.Duration
		login aws.Credentials
	}{
		{0, aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}},
		{12*time.Hour - time.Second, aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}},
		{12 * time.Hour, aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}},
		{12 * time.Hour, aws.Credentials{AccessKeyID: "id", SecretAccessKey: "another"}},
		{12 * time.Hour, aws.Credentials{AccessKeyID: "another", SecretAccessKey: "another"}},
		{12 * time.Hour, aws.Credentials{AccessKeyID: "another", SecretAccessKey: "another", SessionToken: "token/+="}},
		{0, aws.Credentials{AccessKeyID: "another", SecretAccessKey: "another", SessionToken: "token"}},
		{365 * 24 * time.Hour, aws.Credentials{AccessKeyID: "another", SecretAccessKey: "another", SessionToken: "token"}},
	} {
		at, login = noon.Add(test.after).In(time.FixedZone("east", 5*60*60)), test.login
		for range 2 {
			got, err := store.PresignPut(t.Context(), m, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if want := sdk(t, c, m, true, time.Minute, at); got.URL != want.URL {
				t.Errorf("after %v by %s:\n%s, want\n%s", test.after, login.AccessKeyID, got.URL, want.URL)
			}
		}
	}
}

func BenchmarkPresignPut(b *testing.B) {
	c := s3.New(s3.Options{Region: "us-east-1", Credentials: static})
	b.Run("ours", func(b *testing.B) {
		store := objectstore.New(c, bucket, prefix, time.Now)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := store.PresignPut(b.Context(), newMedia(), 5*time.Minute); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("SDK", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sdk(b, c, newMedia(), true, 5*time.Minute, noon)
		}
	})
}
