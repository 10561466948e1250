package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signing says how a raw request is signed. The zero value is right in every part.
type signing struct {
	header      http.Header // further headers, all signed
	payloadHash string      // instead of the body's
	service     string      // instead of "s3"
	at          time.Time   // instead of now
	query       string
}

// signed makes a raw request with an AWS4-HMAC-SHA256 Authorization header. What the caller changes afterwards is not
// covered by the signature.
func (e *env) signed(method, u string, body []byte, s signing) *http.Request {
	if s.query != "" {
		u += "?" + s.query
	}
	req, err := http.NewRequestWithContext(e.Context(), method, u, bytes.NewReader(body))
	e.must(err, "making a request")
	copyHeader(req, s.header)
	if s.payloadHash == "" {
		sum := sha256.Sum256(body)
		s.payloadHash = hex.EncodeToString(sum[:])
	}
	if s.service == "" {
		s.service = "s3"
	}
	if s.at.IsZero() {
		s.at = time.Now()
	}
	req.Header.Set("X-Amz-Content-Sha256", s.payloadHash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	credentials := aws.Credentials{AccessKeyID: e.accessKey, SecretAccessKey: e.secretKey}
	err = signer.SignHTTP(e.Context(), credentials, req, s.payloadHash, s.service, region, s.at)
	e.must(err, "signing")
	return req
}
