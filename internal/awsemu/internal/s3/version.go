package s3

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
)

// nullVersion is the id of what was written while the bucket was not versioned.
const nullVersion = "null"

// version is one version of an object, or a delete marker. It is never changed; new tags make a new one.
type version struct {
	ID       string             `json:"id"`
	Seq      uint64             `json:"seq"`
	Modified time.Time          `json:"modified"`
	Marker   bool               `json:"marker,omitempty"`
	ETag     string             `json:"etag,omitempty"` // without quotes
	Size     int64              `json:"size,omitempty"`
	Headers  map[string]string  `json:"headers,omitempty"` // content-type and the like, and x-amz-meta-*, canonical
	Tags     []tag              `json:"tags,omitempty"`
	Algo     checksum.Algorithm `json:"algo,omitempty"`
	Sum      string             `json:"sum,omitempty"`
	SumType  string             `json:"sumType,omitempty"`
	Segments []blob.Segment     `json:"segments,omitempty"`
}

// The types of checksums.
const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// entry is everything under one key, the latest version last.
type entry struct{ versions []*version }

func (e *entry) latest() *version {
	if e == nil || len(e.versions) == 0 {
		return nil
	}
	return e.versions[len(e.versions)-1]
}

// live is the latest version, unless that is a delete marker.
func (e *entry) live() *version {
	if v := e.latest(); v != nil && !v.Marker {
		return v
	}
	return nil
}

func (e *entry) find(id string) *version {
	if e == nil {
		return nil
	}
	for _, v := range e.versions {
		if v.ID == id {
			return v
		}
	}
	return nil
}

// newVersionID is 32 characters, as S3's are.
func newVersionID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// put makes v the latest under key and returns the version it takes the place of, if any: there is one null
// version at most.
func (b *bucket) put(key string, v *version) (replaced *version) {
	e, ok := b.objects.Get(key)
	if !ok {
		e = &entry{}
		b.objects.Set(key, e)
	}
	if v.ID == nullVersion {
		if replaced = e.find(nullVersion); replaced != nil {
			e.versions = slices.DeleteFunc(slices.Clone(e.versions), func(o *version) bool { return o == replaced })
		}
	}
	e.versions = append(e.versions, v)
	return replaced
}

// drop removes one version for good.
func (b *bucket) drop(key, id string) (dropped *version) {
	e, _ := b.objects.Get(key)
	if dropped = e.find(id); dropped == nil {
		return nil
	}
	e.versions = slices.DeleteFunc(slices.Clone(e.versions), func(o *version) bool { return o == dropped })
	if len(e.versions) == 0 {
		b.objects.Delete(key)
	}
	return dropped
}

// replace puts changed in the place of the version with the same id.
func (b *bucket) replace(key string, changed *version) {
	e, _ := b.objects.Get(key)
	if old := e.find(changed.ID); old != nil {
		e.versions = slices.Clone(e.versions)
		e.versions[slices.Index(e.versions, old)] = changed
	}
}

// lookup finds what a request for key and, maybe, a version is about. It sets the headers that S3 sends with an
// error too.
func (b *bucket) lookup(r *Request) (*version, error) {
	id := r.query.Get("versionId")
	b.mu.RLock()
	e, _ := b.objects.Get(r.Key)
	v := e.latest()
	if id != "" {
		v = e.find(id)
	}
	versioned := b.versioning != ""
	b.mu.RUnlock()
	switch {
	case v == nil && id != "":
		return nil, noSuchVersion(r.Key, id)
	case v == nil:
		return nil, noSuchKey(r.Key)
	}
	h := r.w.Header()
	if versioned {
		h["X-Amz-Version-Id"] = []string{v.ID}
	}
	if !v.Marker {
		return v, nil
	}
	h.Set("X-Amz-Delete-Marker", "true")
	h.Set("Last-Modified", v.Modified.UTC().Format(http.TimeFormat))
	if id != "" {
		h.Set("Allow", "DELETE")
		return nil, methodNotAllowed()
	}
	return nil, noSuchKey(r.Key)
}

func noSuchVersion(key, id string) error {
	return awserr.New(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist.",
		awserr.Detail{Name: "Key", Value: key}, awserr.Detail{Name: "VersionId", Value: id})
}
