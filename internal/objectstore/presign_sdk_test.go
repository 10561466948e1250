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

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

// atNoon signs as the SDK does, at the store's time.
type atNoon struct{ *v4.Signer }

func (a atNoon) PresignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time, optFns ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	return a.Signer.PresignHTTP(ctx, c, r, payloadHash, service, region, noon.Truncate(time.Second), optFns...)
}

// sdk presigns by the SDK alone.
func sdk(t testing.TB, c *s3.Client, m *media.Media, put bool, ttl time.Duration) *v4.PresignedHTTPRequest {
	t.Helper()
	options := func(o *s3.PresignOptions) {
		o.Expires = ttl
		o.Presigner = atNoon{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
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
		signed, err = client.PresignPutObject(t.Context(), in, options)
	} else {
		in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &m.Key, ResponseContentType: &m.ContentType,
			ResponseContentDisposition: aws.String(`attachment; filename="F__e.jpg"; filename*=UTF-8''F%C3%BC%C3%9Fe.jpg`)}
		if m.VersionID != "" {
			in.VersionId = &m.VersionID
		}
		signed, err = client.PresignGetObject(t.Context(), in, options)
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
					want := sdk(t, c, m, put, 5*time.Minute)
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
			sdk(b, c, newMedia(), true, 5*time.Minute)
		}
	})
}
