// Package sigv4 verifies AWS Signature Version 4 as S3 and SQS do: from the Authorization header or from a
// presigned query, by building the canonical request again from what arrived.
//
// Sources: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API reference, and the error
// responses of S3 itself.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// maxSkew is how far a header-signed request's date may be from the server's.
	maxSkew = 15 * time.Minute
	// maxExpires is the longest life of a presigned URL: one week.
	maxExpires = 604800
)

// The values of x-amz-content-sha256 that are not a hash.
const (
	UnsignedPayload         = "UNSIGNED-PAYLOAD"
	StreamingUnsigned       = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	StreamingSigned         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingSignedTrailers = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// Verifier knows the one credential pair that is accepted. It is safe for concurrent use.
type Verifier struct {
	AccessKeyID string
	SecretKey   string
	Region      string
	Now         func() time.Time

	keys sync.Map // signingKeyID → []byte
}

type signingKeyID struct{ date, region, service string }

// Signed is what a verified request was signed with; the chunks of a streamed body are verified against it.
type Signed struct {
	Presigned   bool
	PayloadHash string // what x-amz-content-sha256 said, or UnsignedPayload
	Signature   string
	Date        string // of the signature, in the format of X-Amz-Date
	Scope       string
	Key         []byte
}

// claim is what a request says about its own signature.
type claim struct {
	accessKey     string
	date          string // of the credential scope
	region        string
	service       string
	signedHeaders string
	signature     string
	at            time.Time
	amzDate       string
	presigned     bool
}

func (c *claim) scope() string {
	return c.date + "/" + c.region + "/" + c.service + "/aws4_request"
}

// Verify checks r's signature for service ("s3" or "sqs"). bodyHash is the hex SHA-256 of the body where the
// service signs bodies without a header saying so (SQS), and empty otherwise. The body itself is not read: that
// it matches Signed.PayloadHash is for whoever reads it to check.
func (v *Verifier) Verify(r *http.Request, service, bodyHash string) (*Signed, *awserr.Error) {
	c, e := parse(r)
	if e != nil {
		return nil, e
	}
	if e := v.checkClaim(r, c, service); e != nil {
		return nil, e
	}
	signed := strings.Split(c.signedHeaders, ";")
	if e := checkSignedHeaders(r, signed); e != nil {
		return nil, e
	}
	payload, e := payloadHash(r, c, service, bodyHash)
	if e != nil {
		return nil, e
	}
	canonical := canonicalRequest(r, c, signed, payload, service)
	sum := sha256.Sum256(canonical)
	toSign := algorithm + "\n" + c.amzDate + "\n" + c.scope() + "\n" + hex.EncodeToString(sum[:])
	key := v.signingKey(c)
	want := hex.EncodeToString(mac(key, toSign))
	if !hmac.Equal([]byte(want), []byte(c.signature)) {
		return nil, mismatch(c, toSign, canonical)
	}
	return &Signed{
		Presigned: c.presigned, PayloadHash: payload,
		Signature: c.signature, Date: c.amzDate, Scope: c.scope(), Key: key,
	}, nil
}

func mismatch(c *claim, toSign string, canonical []byte) *awserr.Error {
	return awserr.New(http.StatusForbidden, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.",
		awserr.Detail{Name: "AWSAccessKeyId", Value: c.accessKey},
		awserr.Detail{Name: "StringToSign", Value: toSign},
		awserr.Detail{Name: "SignatureProvided", Value: c.signature},
		awserr.Detail{Name: "CanonicalRequest", Value: string(canonical)})
}

// payloadHash is the last line of the canonical request.
func payloadHash(r *http.Request, c *claim, service, bodyHash string) (string, *awserr.Error) {
	if h := r.Header.Get("X-Amz-Content-Sha256"); h != "" {
		return h, nil
	}
	if service != "s3" {
		return bodyHash, nil
	}
	if !c.presigned {
		return "", awserr.New(http.StatusBadRequest, "InvalidRequest",
			"Missing required header for this request: x-amz-content-sha256")
	}
	if h := queryValue(r.URL.RawQuery, "X-Amz-Content-Sha256"); h != "" {
		return h, nil
	}
	return UnsignedPayload, nil
}

// signingKey derives the key of a scope once and remembers it: the derivation costs four HMACs.
func (v *Verifier) signingKey(c *claim) []byte {
	id := signingKeyID{c.date, c.region, c.service}
	if k, ok := v.keys.Load(id); ok {
		return k.([]byte)
	}
	k := mac([]byte("AWS4"+v.SecretKey), c.date)
	k = mac(k, c.region)
	k = mac(k, c.service)
	k = mac(k, "aws4_request")
	v.keys.Store(id, k)
	return k
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// ChunkSignature is the signature of one chunk of a streamed body: previous is the signature before it (the
// request's own for the first), hash the hex SHA-256 of the chunk's data.
func (s *Signed) ChunkSignature(previous, hash string) string {
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	return hex.EncodeToString(mac(s.Key, algorithm+"-PAYLOAD\n"+s.Date+"\n"+s.Scope+"\n"+previous+"\n"+emptyHash+"\n"+hash))
}

// TrailerSignature is the signature of the trailing headers of a streamed body, hash being the hex SHA-256 of
// their lines.
func (s *Signed) TrailerSignature(previous, hash string) string {
	return hex.EncodeToString(mac(s.Key, "AWS4-HMAC-SHA256-TRAILER\n"+s.Date+"\n"+s.Scope+"\n"+previous+"\n"+hash))
}
