package objectstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/encoding/httpbinding"
)

// The parts of AWS Signature Version 4 that a presigned request has.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
const (
	algorithm       = "AWS4-HMAC-SHA256"
	terminator      = "aws4_request"
	signedOn        = "20060102"
	signedAt        = "20060102T150405Z"
	unsignedPayload = "UNSIGNED-PAYLOAD" // a client's body is not known when the URL is made
)

const hostHeader = "Host"

// field is a header, by its canonical name, or a parameter of a query.
type field struct{ name, value string }

// signing is what a day's signatures by one login for one place have in common.
type signing struct {
	login aws.Credentials
	day   time.Time
	scope string
	begin string // of the query, up to the value of X-Amz-Date
	token string // the parameter of a session's token, if there is one
	key   []byte
}

func newSigning(login aws.Credentials, f *form, at time.Time) *signing {
	day := at.Format(signedOn)
	s := &signing{login: login, day: at.Truncate(24 * time.Hour), scope: strings.Join([]string{day, f.region, f.service, terminator}, "/")}
	s.begin = "X-Amz-Algorithm=" + algorithm + "&X-Amz-Credential=" + escape(login.AccessKeyID+"/"+s.scope) + "&X-Amz-Date="
	if login.SessionToken != "" {
		s.token = "&X-Amz-Security-Token=" + escape(login.SessionToken)
	}
	s.key = []byte("AWS4" + login.SecretAccessKey)
	for _, part := range []string{day, f.region, f.service, terminator} {
		s.key = mac(s.key, []byte(part))
	}
	return s
}

// fits reports whether it is that of a login and of the day of a time in UTC.
func (s *signing) fits(login aws.Credentials, at time.Time) bool {
	return s.day.Equal(at.Truncate(24*time.Hour)) && s.login.AccessKeyID == login.AccessKeyID &&
		s.login.SecretAccessKey == login.SecretAccessKey && s.login.SessionToken == login.SessionToken
}

// presign returns the URL of a request for a key, with these headers, that holds for a time to live from a time in UTC.
// The headers, of which Host is one, and the parameters are in ascending order, and the parameters' names come after
// "X-Amz", as small letters do.
func (f *form) presign(s *signing, method, key string, header, query []field, ttl time.Duration, at time.Time) string {
	// The canonical request, of which the URL is a part.
	b := make([]byte, 0, 1536)
	b = append(append(b, method...), '\n')
	path := len(b)
	b = append(append(append(b, f.path...), httpbinding.EscapePath(key, false)...), '\n')
	parameters := len(b)
	b = at.AppendFormat(append(b, s.begin...), signedAt)
	b = strconv.AppendInt(append(b, "&X-Amz-Expires="...), int64(ttl/time.Second), 10)
	b = append(append(b, s.token...), "&X-Amz-SignedHeaders="...)
	b = appendNames(b, header, "%3B")
	for _, p := range query {
		b = append(append(append(append(b, '&'), p.name...), '='), escape(p.value)...)
	}
	end := len(b)
	b = append(b, '\n')
	for _, h := range header {
		b = append(append(appendLower(b, h.name), ':'), single(h.value)...)
		b = append(b, '\n')
	}
	b = append(appendNames(append(b, '\n'), header, ";"), '\n')
	b = append(b, unsignedPayload...)

	sum := sha256.Sum256(b)
	toSign := make([]byte, 0, 256)
	toSign = at.AppendFormat(append(toSign, algorithm+"\n"...), signedAt)
	toSign = append(append(toSign, '\n'), s.scope...)
	toSign = hex.AppendEncode(append(toSign, '\n'), sum[:])
	signature := hex.EncodeToString(mac(s.key, toSign))
	return f.origin + string(b[path:parameters-1]) + "?" + string(b[parameters:end]) + "&X-Amz-Signature=" + signature
}

func appendNames(b []byte, header []field, separator string) []byte {
	for i, h := range header {
		if i > 0 {
			b = append(b, separator...)
		}
		b = appendLower(b, h.name)
	}
	return b
}

func appendLower(b []byte, name string) []byte {
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// single is a header's value as it is signed: with single spaces, and none around it.
func single(value string) string {
	for strings.Contains(value, "  ") {
		value = strings.ReplaceAll(value, "  ", " ")
	}
	return strings.TrimSpace(value)
}

// escape encodes the value of a parameter.
func escape(value string) string { return httpbinding.EscapePath(value, true) }

func mac(key, data []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}

// signing returns what the signatures of a login have in common on the day of a time.
func (s *Store) signing(login aws.Credentials, f *form, at time.Time) *signing {
	known := s.signed.Load()
	if known == nil || !known.fits(login, at) {
		known = newSigning(login, f, at)
		s.signed.Store(known)
	}
	return known
}
