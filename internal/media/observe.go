package media

import (
	"bytes"
	"fmt"
	"time"
)

// Object is what S3 says of an object when it is asked (HEAD).
type Object struct {
	SizeBytes      int64
	ContentType    string
	ChecksumSHA256 []byte // nil when the store does not tell it
	ETag           string // without quotes
	VersionID      string // empty on an unversioned bucket
	LastModified   time.Time
}

// Observe compares an object with what was declared for the media and returns the landing that it is. A store that
// tells no checksum is not held against the object: the checksum was in the signature that let it in, and to delete
// what cannot be judged would be the worse mistake.
func (m *Media) Observe(o Object) Landing {
	l := Landing{
		MediaID: m.ID, SizeBytes: o.SizeBytes, ETag: o.ETag, VersionID: o.VersionID, EventTime: o.LastModified,
	}
	switch {
	case o.SizeBytes != m.SizeBytes:
		l.Mismatch = fmt.Sprintf("size is %d, declared was %d", o.SizeBytes, m.SizeBytes)
	case o.ContentType != m.ContentType:
		l.Mismatch = fmt.Sprintf("content type is %.100q, declared was %q", o.ContentType, m.ContentType)
	case len(m.ChecksumSHA256) > 0 && len(o.ChecksumSHA256) > 0 && !bytes.Equal(o.ChecksumSHA256, m.ChecksumSHA256):
		l.Mismatch = "checksum is not the declared one"
	}
	return l
}
