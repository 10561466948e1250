package awsemu

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/fault"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sqs"
)

// maxSQSBody bounds a request to SQS: a message of 1 MiB, escaped as JSON in the worst way.
const maxSQSBody = 8 << 20

func (s *Server) serveSQS(w http.ResponseWriter, r *http.Request, operation, id string) {
	s.count(operation)
	w.Header()["X-Amzn-Requestid"] = []string{id}
	err := s.handleSQS(w, r, operation)
	if err != nil && r.Context().Err() == nil {
		sqs.WriteError(w, err)
	}
}

func (s *Server) handleSQS(w http.ResponseWriter, r *http.Request, operation string) error {
	if s.closed.Load() {
		return closing()
	}
	body, err := readAll(r)
	if err != nil {
		return err
	}
	var effect fault.Effect
	if s.faults.requests.Some() {
		if effect, err = s.suffer(r, operation, sqs.QueueOf(body)); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	signed, e := s.verifier.Verify(r, "sqs", hash)
	switch {
	case e != nil:
		return authError(e)
	case signed.PayloadHash != hash:
		return authError(awserr.New(http.StatusForbidden, "SignatureDoesNotMatch", "The request's payload is not the one that was signed."))
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	c := &sqs.Caller{Operation: operation, BaseURL: scheme + r.Host}
	if effect.Cut == fault.CutAfter {
		s.thenCut(func(discard http.ResponseWriter) { _ = s.sqs.Serve(r.Context(), discard, c, body) })
	}
	return s.sqs.Serve(r.Context(), w, c, body)
}

func readAll(r *http.Request) ([]byte, error) {
	tooLong := awserr.New(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too long.")
	if r.ContentLength > maxSQSBody {
		return nil, tooLong
	}
	if r.ContentLength >= 0 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSQSBody+1))
	if len(body) > maxSQSBody {
		err = tooLong
	}
	return body, err
}

// authErrors are the JSON protocol's names for what S3 calls otherwise; see "Common errors" in the SQS API
// reference.
var authErrors = map[string]string{
	"AccessDenied":                      "MissingAuthenticationToken",
	"InvalidAccessKeyId":                "InvalidClientTokenId",
	"InvalidToken":                      "InvalidClientTokenId",
	"RequestTimeTooSkewed":              "SignatureDoesNotMatch",
	"AuthorizationHeaderMalformed":      "SignatureDoesNotMatch",
	"AuthorizationQueryParametersError": "IncompleteSignature",
	"InvalidRequest":                    "IncompleteSignature",
}

func authError(e *awserr.Error) error {
	code := e.Code
	if name, ok := authErrors[code]; ok {
		code = name
	}
	message := e.Message
	if code == "MissingAuthenticationToken" && len(e.Details) == 0 {
		message = "Request is missing Authentication Token"
	}
	return awserr.New(http.StatusForbidden, code, message)
}

func newHostID() string {
	var b [56]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
