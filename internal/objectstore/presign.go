package objectstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
		// The SDK leaves a length of 0 out of the signature, and with it the upload's bound.
		return media.Presigned{}, fmt.Errorf("presigning the upload of media %s: size is %d, must be at least 1", m.ID, m.SizeBytes)
	}
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &m.Key,
		ContentLength: &m.SizeBytes, ContentType: &m.ContentType, IfNoneMatch: aws.String("*"),
	}
	if len(m.ChecksumSHA256) > 0 {
		// ChecksumAlgorithm must stay unset: it would sign the checksum of an empty body.
		in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(m.ChecksumSHA256))
	}
	signer := s.signer(ttl)
	signed, err := s.presign.PresignPutObject(ctx, in, signer.use)
	if err != nil {
		return media.Presigned{}, fmt.Errorf("presigning the upload of media %s: %w", m.ID, err)
	}
	return signer.request(signed), nil
}

// PresignGet returns the request that downloads the media's object, as a link that needs no header. The object is
// always an attachment: what a user has uploaded must not run as a page, and images, audio and video are shown in
// pages all the same.
func (s *Store) PresignGet(ctx context.Context, m *media.Media, ttl time.Duration) (media.Presigned, error) {
	in := &s3.GetObjectInput{
		Bucket: &s.bucket, Key: &m.Key,
		ResponseContentType: &m.ContentType, ResponseContentDisposition: aws.String(attachment(m.FileName)),
	}
	if m.VersionID != "" {
		in.VersionId = &m.VersionID
	}
	signer := s.signer(ttl)
	signed, err := s.presign.PresignGetObject(ctx, in, signer.use)
	if err != nil {
		return media.Presigned{}, fmt.Errorf("presigning the download of media %s: %w", m.ID, err)
	}
	return signer.request(signed), nil
}

// signer signs one request at the store's time, and remembers when the credentials that it used end.
type signer struct {
	v4  *v4.Signer
	at  time.Time
	ttl time.Duration
	end time.Time // zero when the credentials do not end
}

func (s *Store) signer(ttl time.Duration) *signer {
	return &signer{
		// S3 does not escape the path a second time before signing, as the other services do.
		v4: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		// A signature tells its time in whole seconds.
		at: s.now().UTC().Truncate(time.Second), ttl: ttl,
	}
}

// PresignHTTP implements [s3.HTTPPresignerV4].
func (p *signer) PresignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time,
	optFns ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	if p.ttl < time.Second || p.ttl > maxTTL || p.ttl%time.Second != 0 {
		return "", nil, fmt.Errorf("time to live is %v, must be whole seconds from 1s to %v", p.ttl, maxTTL)
	}
	if c.CanExpire {
		p.end = c.Expires
	}
	return p.v4.PresignHTTP(ctx, c, r, payloadHash, service, region, p.at, optFns...)
}

func (p *signer) use(o *s3.PresignOptions) { o.Presigner, o.Expires = p, p.ttl }

func (p *signer) request(signed *v4.PresignedHTTPRequest) media.Presigned {
	r := media.Presigned{Method: signed.Method, URL: signed.URL, Header: signed.SignedHeader.Clone(), ExpiresAt: p.at.Add(p.ttl)}
	r.Header.Del("Host")
	if !p.end.IsZero() && p.end.Before(r.ExpiresAt) {
		r.ExpiresAt = p.end
	}
	return r
}
