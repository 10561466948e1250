package objectstore

import (
	"bytes"
	"time"
)

// document is an answer of ListObjectsV2 or ListObjectVersions. Its texts are as they stand in the body.
type document struct {
	entries   []entry
	truncated bool
	encoding  []byte // of keys
	token     []byte // ListObjectsV2: where the next page begins
	key       []byte // ListObjectVersions: the same
	version   []byte
}

// entry is an object, a version or a delete marker.
type entry struct {
	key, etag, version []byte
	size               int64
	modified           time.Time
	latest, marker     bool
}

// shape is what distinguishes the two kinds of documents.
type shape struct {
	root, entry, marker string
	// needed are the fields without which an entry, or a delete marker, is not understood.
	needed, neededOfMarker fields
}

var (
	objectList  = &shape{root: "ListBucketResult", entry: "Contents", needed: hasKey | hasETag | hasSize | hasModified}
	versionList = &shape{
		root: "ListVersionsResult", entry: "Version", marker: "DeleteMarker", needed: hasKey | hasETag | hasSize | hasModified | hasLatest | hasVersion,
		neededOfMarker: hasKey,
	}
)

// fields are those that were seen.
type fields uint16

const (
	hasKey fields = 1 << iota
	hasETag
	hasSize
	hasModified
	hasLatest
	hasVersion
	hasTruncated
	hasEncoding
	hasToken
	hasNextKey
	hasNextVersion
)

// once takes note of a field, and reports whether it was not there before.
func (f *fields) once(field fields) bool {
	had := *f&field != 0
	*f |= field
	return !had
}

// What the SDK reads, whatever the case.
var (
	listNames = []string{
		"CommonPrefixes", "Contents", "ContinuationToken", "DeleteMarker", "Delimiter", "EncodingType", "IsTruncated", "KeyCount", "KeyMarker", "MaxKeys",
		"Name", "NextContinuationToken", "NextKeyMarker", "NextVersionIdMarker", "Prefix", "StartAfter", "Version", "VersionIdMarker",
	}
	entryNames = []string{
		"ChecksumAlgorithm", "ChecksumType", "ETag", "IsLatest", "Key", "LastModified", "Owner", "RestoreStatus", "Size", "StorageClass", "VersionId",
	}
	ownerNames = []string{"DisplayName", "ID"}
)

// scan reads a body into d, and reports whether it is a whole document of that shape, every part of which is understood.
func (d *document) scan(body []byte, s *shape) bool {
	*d = document{entries: d.entries[:0]}
	e := elements{text: body}
	if !e.root(s.root) {
		return false
	}
	var seen fields
	for {
		t, ok := e.next()
		switch {
		case !ok:
			return false
		case !t.start:
			return string(t.name) == s.root && e.end() && seen&hasTruncated != 0
		case string(t.name) == s.entry && !t.end:
			ok = d.entry(&e, t.name, s.needed)
		case s.marker != "" && string(t.name) == s.marker && !t.end:
			ok = d.entry(&e, t.name, s.neededOfMarker)
			d.entries[len(d.entries)-1].marker = true
		default:
			ok = d.field(&e, t, &seen)
		}
		if !ok {
			return false
		}
	}
}

// field reads what is beside the entries.
func (d *document) field(e *elements, t tag, seen *fields) (ok bool) {
	switch string(t.name) {
	case "IsTruncated":
		d.truncated, ok = e.boolean(t)
		return ok && seen.once(hasTruncated)
	case "EncodingType":
		d.encoding, ok = e.value(t)
		return ok && seen.once(hasEncoding)
	case "NextContinuationToken":
		d.token, ok = e.value(t)
		return ok && seen.once(hasToken)
	case "NextKeyMarker":
		d.key, ok = e.value(t)
		return ok && seen.once(hasNextKey)
	case "NextVersionIdMarker":
		d.version, ok = e.value(t)
		return ok && seen.once(hasNextVersion)
	case "KeyCount", "MaxKeys":
		_, ok = e.number(t)
		return ok
	case "Name", "Prefix", "Delimiter", "ContinuationToken", "StartAfter", "KeyMarker", "VersionIdMarker":
		_, ok = e.value(t)
		return ok
	}
	return e.pass(t, listNames)
}

// entry reads up to and including the end tag of an entry that was begun. It adds one in any case.
func (d *document) entry(e *elements, name []byte, needed fields) bool {
	d.entries = append(d.entries, entry{})
	o := &d.entries[len(d.entries)-1]
	var seen fields
	for {
		t, ok := e.next()
		if !ok {
			return false
		}
		if !t.start {
			return bytes.Equal(t.name, name) && seen&needed == needed && len(o.key) > 0
		}
		switch string(t.name) {
		case "Key":
			o.key, ok = e.value(t)
			ok = ok && seen.once(hasKey)
		case "LastModified":
			o.modified, ok = e.instant(t)
			ok = ok && seen.once(hasModified)
		case "ETag":
			o.etag, ok = e.value(t)
			ok = ok && seen.once(hasETag)
		case "Size":
			o.size, ok = e.number(t)
			ok = ok && seen.once(hasSize)
		case "IsLatest":
			o.latest, ok = e.boolean(t)
			ok = ok && seen.once(hasLatest)
		case "VersionId":
			o.version, ok = e.value(t)
			ok = ok && seen.once(hasVersion)
		case "StorageClass", "ChecksumAlgorithm", "ChecksumType":
			_, ok = e.value(t)
		case "Owner":
			ok = e.owner(t)
		default:
			ok = e.pass(t, entryNames)
		}
		if !ok {
			return false
		}
	}
}

// owner reads an element that is not used.
func (e *elements) owner(t tag) bool {
	for !t.end {
		child, ok := e.next()
		switch {
		case !ok:
			return false
		case !child.start:
			return bytes.Equal(child.name, t.name)
		}
		switch string(child.name) {
		case "ID", "DisplayName":
			_, ok = e.value(child)
		default:
			ok = e.pass(child, ownerNames)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (e *elements) boolean(t tag) (is, ok bool) {
	raw, ok := e.value(t)
	is = string(raw) == "true"
	return is, ok && (is || string(raw) == "false")
}

// number reads a number from 0 to 10¹⁸-1.
func (e *elements) number(t tag) (n int64, ok bool) {
	raw, ok := e.value(t)
	if !ok || len(raw) == 0 || len(raw) > 18 {
		return 0, false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// instant reads a time in UTC, as in 2025-06-01T00:00:00.000Z.
func (e *elements) instant(t tag) (at time.Time, ok bool) {
	raw, ok := e.value(t)
	const layout = "0000-00-00T00:00:00"
	n := len(layout)
	if !ok || len(raw) < n+1 || raw[len(raw)-1] != 'Z' {
		return at, false
	}
	for i := range n {
		if c := layout[i]; c == '0' && (raw[i] < '0' || raw[i] > '9') || c != '0' && raw[i] != c {
			return at, false
		}
	}
	two := func(i int) int { return 10*int(raw[i]-'0') + int(raw[i+1]-'0') }
	nanoseconds, ok := fraction(raw[n : len(raw)-1])
	month, day, hour, minute, second := two(5), two(8), two(11), two(14), two(17)
	if !ok || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return at, false
	}
	at = time.Date(100*two(0)+two(2), time.Month(month), day, hour, minute, second, nanoseconds, time.UTC)
	return at, day <= 28 || at.Day() == day // there is a 31st of February in no year
}

// fraction reads what may follow the seconds: nothing, or a point and up to nine digits.
func fraction(raw []byte) (nanoseconds int, ok bool) {
	if len(raw) == 0 {
		return 0, true
	}
	if raw[0] != '.' || len(raw) < 2 || len(raw) > 10 {
		return 0, false
	}
	for i := range 9 {
		nanoseconds *= 10
		if i+1 < len(raw) {
			c := raw[i+1]
			if c < '0' || c > '9' {
				return 0, false
			}
			nanoseconds += int(c - '0')
		}
	}
	return nanoseconds, true
}
