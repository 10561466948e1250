package s3

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
)

// overrides are the parameters with which a GET chooses its own answer's headers.
var overrides = map[string]string{
	"response-content-type":        "Content-Type",
	"response-content-language":    "Content-Language",
	"response-expires":             "Expires",
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    "Content-Encoding",
}

// getObject serves GetObject and HeadObject.
func (s *Service) getObject(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	v, content, err := s.openLatest(b, r)
	if err != nil {
		return err
	}
	defer content.Close()
	h := r.w.Header()
	h.Set("Etag", quoted(v.ETag))
	h.Set("Last-Modified", httpTime(v.Modified))
	h.Set("Accept-Ranges", "bytes")
	if err := checkRead(r.Header, v); err != nil {
		return err
	}
	off, n, partial, err := parseRange(r.Header.Get("Range"), v.Size)
	if err != nil {
		return err
	}
	s.setObjectHeaders(h, r, v, partial)
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, v.Size))
	}
	r.w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := content.CopyRange(r.w, off, n); err != nil {
		s.Log.Debug("sending an object", "key", r.Key, "error", err)
	}
	return nil
}

// openLatest finds the version and opens its bytes. A version that is deleted in between is looked up again.
func (s *Service) openLatest(b *bucket, r *Request) (*version, *blob.Reader, error) {
	for try := 0; ; try++ {
		v, err := b.lookup(r)
		if err != nil {
			return nil, nil, err
		}
		content, err := s.Blobs.Reader(v.Segments)
		if err == nil {
			return v, content, nil
		}
		if !errors.Is(err, os.ErrNotExist) || try == 10 {
			return nil, nil, err
		}
	}
}

func (s *Service) setObjectHeaders(h http.Header, r *Request, v *version, partial bool) {
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	for param, name := range overrides {
		if value := r.query.Get(param); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	if len(v.Tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(v.Tags)))
	}
	if !partial && strings.EqualFold(r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		v.setChecksum(h)
	}
}

// checkRead applies the conditional headers of RFC 9110, section 13.2.2, to a GET or HEAD.
func checkRead(h http.Header, v *version) error {
	modified := v.Modified.Truncate(time.Second)
	if m := h.Get("If-Match"); m != "" {
		if !matches(m, v.ETag) {
			return failed("If-Match")
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return failed("If-Unmodified-Since")
	}
	notModified := awserr.New(http.StatusNotModified, "NotModified", "Not Modified")
	if m := h.Get("If-None-Match"); m != "" {
		if matches(m, v.ETag) {
			return notModified
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		return notModified
	}
	return nil
}

func matches(list, etag string) bool {
	for part := range strings.SplitSeq(list, ",") {
		p := strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if p == "*" || strings.Trim(p, `"`) == etag {
			return true
		}
	}
	return false
}

// parseRange reads a Range header with one range. Several, or what cannot be read, mean the whole object, as S3
// does it.
func parseRange(header string, size int64) (off, n int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, ok2 := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !ok2 || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	unsatisfiable := awserr.New(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable",
		awserr.Detail{Name: "RangeRequested", Value: header}, awserr.Detail{Name: "ActualObjectSize", Value: strconv.FormatInt(size, 10)})
	if first == "" {
		suffix, perr := strconv.ParseInt(last, 10, 64)
		switch {
		case perr != nil || suffix < 0:
			return 0, size, false, nil
		case suffix == 0 || size == 0:
			return 0, 0, false, unsatisfiable
		}
		n = min(suffix, size)
		return size - n, n, true, nil
	}
	from, perr := strconv.ParseInt(first, 10, 64)
	to := size - 1
	if perr == nil && last != "" {
		to, perr = strconv.ParseInt(last, 10, 64)
	}
	switch {
	case perr != nil || from < 0 || last != "" && to < from:
		return 0, size, false, nil
	case from >= size:
		return 0, 0, false, unsatisfiable
	}
	to = min(to, size-1)
	return from, to - from + 1, true, nil
}
