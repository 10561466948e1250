package objectstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/media"
)

// maxTTL is the longest that S3 lets a presigned URL live.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
const maxTTL = 7 * 24 * time.Hour

// PresignPut returns the request that uploads the media's object and that nothing else fits: size, content type,
// checksum when one was declared, and that no object is there yet, are all signed.
func (s *Store) PresignPut(ctx context.Context, m *media.Media, ttl time.Duration) (media.Presigned, error) {
	if m.SizeBytes <= 0 {
		// S3 and its clients leave a length of 0 out of the signature, and with it the upload's bound.
		return media.Presigned{}, fmt.Errorf("presigning the upload of media %s: size is %d, must be at least 1", m.ID, m.SizeBytes)
	}
	header := make([]field, 0, 5)
	header = append(header, field{"Content-Length", strconv.FormatInt(m.SizeBytes, 10)}, field{"Content-Type", m.ContentType},
		field{hostHeader, ""}, field{"If-None-Match", "*"})
	if len(m.ChecksumSHA256) > 0 {
		header = append(header, field{"X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(m.ChecksumSHA256)})
	}
	signed, err := s.sign(ctx, http.MethodPut, m.Key, header, []field{{"x-id", "PutObject"}}, ttl)
	if err != nil {
		return media.Presigned{}, fmt.Errorf("presigning the upload of media %s: %w", m.ID, err)
	}
	return signed, nil
}

// PresignGet returns the request that downloads the media's object, as a link that needs no header. The object is
// always an attachment: what a user has uploaded must not run as a page, and images, audio and video are shown in
// pages all the same.
func (s *Store) PresignGet(ctx context.Context, m *media.Media, ttl time.Duration) (media.Presigned, error) {
	query := make([]field, 0, 4)
	query = append(query, field{"response-content-disposition", attachment(m.FileName)}, field{"response-content-type", m.ContentType})
	if m.VersionID != "" {
		query = append(query, field{"versionId", m.VersionID})
	}
	signed, err := s.sign(ctx, http.MethodGet, m.Key, []field{{hostHeader, ""}}, append(query, field{"x-id", "GetObject"}), ttl)
	if err != nil {
		return media.Presigned{}, fmt.Errorf("presigning the download of media %s: %w", m.ID, err)
	}
	return signed, nil
}

// sign signs a request for a key by query, at the store's time. The headers, of which it fills in Host, and the
// parameters are in ascending order. The request is the SDK's own to the letter, in a twelfth of the time.
func (s *Store) sign(ctx context.Context, method, key string, header, query []field, ttl time.Duration) (media.Presigned, error) {
	if ttl < time.Second || ttl > maxTTL || ttl%time.Second != 0 {
		return media.Presigned{}, fmt.Errorf("time to live is %v, must be whole seconds from 1s to %v", ttl, maxTTL)
	}
	form, err := s.form(ctx)
	if err != nil {
		return media.Presigned{}, err
	}
	login, err := s.login.Retrieve(ctx)
	if err != nil {
		return media.Presigned{}, fmt.Errorf("retrieving credentials: %w", err)
	}
	// A signature tells its time in whole seconds.
	at := s.now().UTC().Truncate(time.Second)
	p := media.Presigned{Method: method, Header: make(http.Header, len(header)), ExpiresAt: at.Add(ttl)}
	for i, h := range header {
		if h.name == hostHeader {
			header[i].value = form.host
			continue // a client sends it by itself
		}
		p.Header[h.name] = []string{h.value}
	}
	p.URL = form.presign(s.signing(login, form, at), method, key, header, query, ttl, at)
	if login.CanExpire && login.Expires.Before(p.ExpiresAt) {
		p.ExpiresAt = login.Expires
	}
	return p, nil
}

// form is how requests for the bucket's objects are addressed and signed.
type form struct {
	origin          string // scheme and host of the URL
	host            string // as the header has it
	path            string // escaped, to which the key is added
	service, region string
}

// formKey is a key whose URL shows where keys go.
const formKey = "key"

// form asks the SDK once how it addresses and signs: by path or by host, in which region, at which endpoint.
func (s *Store) form(ctx context.Context) (*form, error) {
	if known := s.addressed.Load(); known != nil {
		return known, nil
	}
	signed, err := s3.NewPresignClient(s.client, s3.WithPresignClientFromClientOptions(bare)).
		PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(formKey)})
	if err != nil {
		return nil, fmt.Errorf("addressing bucket %q: %w", s.bucket, err)
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		return nil, fmt.Errorf("addressing bucket %q: %w", s.bucket, err)
	}
	query := u.Query()
	scope := strings.Split(query.Get("X-Amz-Credential"), "/") // key id, date, region, service, "aws4_request"
	path, isPath := strings.CutSuffix(u.EscapedPath(), formKey)
	if n := len(scope); query.Get("X-Amz-Algorithm") == algorithm && n >= 5 && isPath && u.RawPath == "" {
		origin := url.URL{Scheme: u.Scheme, Host: u.Host} // which escapes the zone of an address, as a URL must
		f := &form{origin: origin.String(), host: hostOf(u), path: path, region: scope[n-3], service: scope[n-2]}
		s.addressed.Store(f)
		return f, nil
	}
	return nil, fmt.Errorf("addressing bucket %q: its requests are not signed by %s", s.bucket, algorithm)
}

// hostOf is the Host that clients send: without the port that goes without saying.
func hostOf(u *url.URL) string {
	return strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
}
