package s3

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/ordered"
)

// maxPage is how many keys or prefixes a page of any listing holds.
const maxPage = 1000

// page is what all listings ask for.
type page struct {
	prefix, delimiter string
	after             string // the page begins above this key
	rolled            bool   // after is a common prefix: everything below it is done
	uploads           bool   // keys end with a zero byte and an upload's id
	max               int
}

// group returns the common prefix that key rolls up into, if any.
func (p *page) group(key string) (string, bool) {
	if p.delimiter == "" {
		return "", false
	}
	if p.uploads {
		key = key[:strings.LastIndexByte(key, 0)]
	}
	if len(key) < len(p.prefix) {
		return "", false
	}
	if i := strings.Index(key[len(p.prefix):], p.delimiter); i >= 0 {
		return key[:len(p.prefix)+i+len(p.delimiter)], true
	}
	return "", false
}

// markerIsPrefix reports whether a marker that names no version or upload is the common prefix that the page
// before ended with.
func (p *page) markerIsPrefix(marker string) bool {
	return p.delimiter != "" && strings.HasPrefix(marker, p.prefix) && strings.HasSuffix(marker[len(p.prefix):], p.delimiter)
}

// start moves the cursor to where the page begins.
func start[V any](p *page, m *ordered.Map[V]) ordered.Cursor[V] {
	switch {
	case p.after < p.prefix:
		return m.Seek(p.prefix)
	case p.rolled:
		if next, ok := ordered.After(p.after); ok {
			return m.Seek(next)
		}
		return m.Seek(p.after + strings.Repeat("\xff", 1024)) // above every key there can be
	}
	return m.Seek(p.after + "\x00")
}

// walk goes through a page in byte order: every key that item accepts, each common prefix once. It returns the
// last of them, and whether that is a prefix, if there is more. item is asked first whether a
// key counts (probing), and then given it.
func walk[V any](p *page, m *ordered.Map[V], item func(key string, v V, probing bool) bool, group func(prefix string)) (last string, rolled, more bool) {
	if p.max == 0 || m.Len() == 0 {
		return "", false, false
	}
	n := 0
	for c := start(p, m); c.Valid(); {
		key := c.Key()
		if !strings.HasPrefix(key, p.prefix) {
			break
		}
		full := n == p.max
		if !item(key, c.Value(), true) {
			c.Next()
			continue
		}
		if full {
			return last, rolled, true
		}
		if prefix, ok := p.group(key); ok {
			group(prefix)
			n, last, rolled = n+1, prefix, true
			next, ok := ordered.After(prefix)
			if !ok {
				break
			}
			c.Seek(next)
			continue
		}
		item(key, c.Value(), false)
		n, last, rolled = n+1, key, false
		c.Next()
	}
	return "", false, false
}

// listed is an object or a common prefix on a page.
type listed struct {
	key   string
	v     *version // nil for a common prefix
	group bool
}

// listObjects serves ListObjectsV2 and its older form.
func (s *Service) listObjects(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	p, x, err := r.page("max-keys")
	if err != nil {
		return err
	}
	v2 := r.query.Get("list-type") == "2"
	if err := r.startOfList(p, v2); err != nil {
		return err
	}
	found := make([]listed, 0, min(p.max, maxPage))
	b.mu.RLock()
	last, rolled, more := walk(p, &b.objects, func(key string, e *entry, probing bool) bool {
		v := e.live()
		if v != nil && !probing {
			found = append(found, listed{key: key, v: v})
		}
		return v != nil
	}, func(prefix string) { found = append(found, listed{key: prefix, group: true}) })
	b.mu.RUnlock()

	x.b = make([]byte, 0, 512+len(found)*400)
	x.b = append(x.b, xmlHeader...)
	x.root("ListBucketResult")
	x.text("Name", b.name)
	x.key("Prefix", p.prefix)
	if p.delimiter != "" {
		x.key("Delimiter", p.delimiter)
	}
	x.number("MaxKeys", int64(p.max))
	if x.url {
		x.text("EncodingType", "url")
	}
	x.flag("IsTruncated", more)
	if v2 {
		x.number("KeyCount", int64(len(found)))
		x.optional("ContinuationToken", r.query.Get("continuation-token"))
		if after := r.query.Get("start-after"); after != "" {
			x.key("StartAfter", after)
		}
		if more {
			x.text("NextContinuationToken", token(last, rolled))
		}
	} else {
		x.key("Marker", r.query.Get("marker"))
		if more && p.delimiter != "" {
			x.key("NextMarker", last)
		}
	}
	owner := !v2 || r.query.Get("fetch-owner") == "true"
	for i := range found {
		if f := &found[i]; f.group {
			x.open("CommonPrefixes")
			x.key("Prefix", f.key)
			x.close("CommonPrefixes")
		} else {
			s.contents(x, f, owner)
		}
	}
	x.close("ListBucketResult")
	r.answerXML(http.StatusOK, x)
	return nil
}

func (s *Service) contents(x *xmlWriter, f *listed, owner bool) {
	x.open("Contents")
	x.key("Key", f.key)
	x.time("LastModified", f.v.Modified)
	x.etag(f.v.ETag)
	if f.v.Algo != "" {
		x.text("ChecksumAlgorithm", string(f.v.Algo))
		x.text("ChecksumType", f.v.SumType)
	}
	x.number("Size", f.v.Size)
	x.text("StorageClass", f.v.storageClass())
	if owner {
		s.writeOwner(x, "Owner")
	}
	x.close("Contents")
}

func (v *version) storageClass() string {
	if c := v.Headers["X-Amz-Storage-Class"]; c != "" {
		return c
	}
	return "STANDARD"
}

func (s *Service) writeOwner(x *xmlWriter, name string) {
	x.open(name)
	x.text("ID", s.owner)
	x.close(name)
}

// page reads the parameters that listings share.
func (r *Request) page(maxName string) (*page, *xmlWriter, error) {
	n, err := r.number(maxName, maxPage)
	if err != nil {
		return nil, nil, err
	}
	x := &xmlWriter{}
	switch r.query.Get("encoding-type") {
	case "":
	case "url":
		x.url = true
	default:
		return nil, nil, bad("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	return &page{prefix: r.query.Get("prefix"), delimiter: r.query.Get("delimiter"), max: n}, x, nil
}

// startOfList sets where a listing of objects begins.
func (r *Request) startOfList(p *page, v2 bool) error {
	if !v2 {
		p.after = r.query.Get("marker")
		p.rolled = p.markerIsPrefix(p.after)
		return nil
	}
	if t, given := r.query["continuation-token"]; given {
		raw, err := base64.RawURLEncoding.DecodeString(t[0])
		if err != nil || len(raw) == 0 || raw[0] != 'k' && raw[0] != 'p' {
			return bad("InvalidArgument", "The continuation token provided is incorrect")
		}
		p.after, p.rolled = string(raw[1:]), raw[0] == 'p'
		return nil
	}
	p.after = r.query.Get("start-after")
	return nil
}

// token is an opaque continuation token: the last key or prefix of the page.
func token(last string, rolled bool) string {
	kind := "k"
	if rolled {
		kind = "p"
	}
	return base64.RawURLEncoding.EncodeToString([]byte(kind + last))
}
