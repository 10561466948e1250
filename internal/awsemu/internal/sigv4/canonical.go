package sigv4

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest rebuilds from r what its sender must have signed.
func canonicalRequest(r *http.Request, c *claim, signed []string, payload, service string) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	if service == "s3" {
		b = appendEscaped(b, r.URL.Path, true)
	} else {
		// Every service but S3 signs the path as it was sent, encoded once more.
		b = appendEscaped(b, r.URL.EscapedPath(), true)
	}
	if r.URL.Path == "" {
		b = append(b, '/')
	}
	b = append(b, '\n')
	b = appendQuery(b, r.URL.RawQuery, c.presigned)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, c.signedHeaders...)
	b = append(b, '\n')
	return append(b, payload...)
}

// appendHeader appends a header's values as signed: trimmed, inner runs of spaces as one, joined by commas. Three
// headers are kept by net/http outside of the map.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	switch name {
	case "host":
		return append(b, r.Host...)
	case "content-length":
		if r.ContentLength >= 0 {
			b = strconv.AppendInt(b, r.ContentLength, 10)
		}
		return b
	case "transfer-encoding":
		return append(b, strings.Join(r.TransferEncoding, ",")...)
	}
	for i, v := range r.Header[http.CanonicalHeaderKey(name)] {
		if i > 0 {
			b = append(b, ',')
		}
		v = strings.TrimSpace(v)
		for j := range len(v) {
			if v[j] != ' ' || v[j-1] != ' ' {
				b = append(b, v[j])
			}
		}
	}
	return b
}

// appendQuery appends the query with every name and value decoded, encoded again by the rules of the signature,
// and sorted. A presigned query's own signature is left out.
func appendQuery(b []byte, raw string, presigned bool) []byte {
	if raw == "" {
		return b
	}
	type pair struct{ name, value []byte }
	pairs := make([]pair, 0, 16)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		if presigned && k == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{appendEscaped(nil, unescape(k), false), appendEscaped(nil, unescape(v), false)})
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if n := bytes.Compare(x.name, y.name); n != 0 {
			return n
		}
		return bytes.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// appendEscaped percent-encodes everything but RFC 3986's unreserved characters, and the slash in a path.
func appendEscaped(b []byte, s string, path bool) []byte {
	const hexDigits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && path:
			b = append(b, c)
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}
