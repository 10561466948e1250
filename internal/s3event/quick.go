package s3event

import "strings"

// quickRecords reads a body that looks as S3 writes it, in a fifth of the time that encoding/json takes. It is no JSON
// parser, and reports false of whatever it would have to think about: an escape, what is not ASCII, a fraction, a null, a
// key that occurs twice or in another case, any key beside Records, deep nesting, or an error. encoding/json decides then.
// What it reads it reads as encoding/json does, which FuzzQuick holds it to.
func quickRecords(body string) ([]*s3Record, bool) {
	q := quick{text: body}
	var records []*s3Record
	var seen fields
	ok := q.object(func(key string) bool {
		return key == "Records" && seen.once(1) && q.array(func() bool {
			r := new(quickRecord)
			records = append(records, &r.s3Record)
			return len(records) <= MaxRecords && q.record(r)
		})
	})
	q.space()
	return records, ok && records != nil && q.at == len(q.text)
}

// quick is a text and how far it was read. Its methods report false when they will not go on.
type quick struct {
	text string
	at   int
}

// quickRecord is a record and what it points to.
type quickRecord struct {
	s3Record
	s3   s3Object
	size int64
}

func (q *quick) record(r *quickRecord) bool {
	var seen fields
	return q.object(func(key string) bool {
		switch key {
		case "eventVersion":
			return seen.once(1) && q.string(&r.EventVersion)
		case "eventSource":
			return seen.once(2) && q.string(&r.EventSource)
		case "eventTime":
			return seen.once(4) && q.string(&r.EventTime)
		case "eventName":
			return seen.once(8) && q.string(&r.EventName)
		case "s3":
			r.S3 = &r.s3
			return seen.once(16) && q.s3(r)
		}
		return !alike(key, "eventVersion", "eventSource", "eventTime", "eventName", "s3") && q.skip(quickDepth)
	})
}

func (q *quick) s3(r *quickRecord) bool {
	s := &r.s3
	var seen, seenBucket, seenObject fields
	return q.object(func(key string) bool {
		switch key {
		case "bucket":
			return seen.once(1) && q.object(func(key string) bool {
				if key == "name" {
					return seenBucket.once(1) && q.string(&s.Bucket.Name)
				}
				return !alike(key, "name") && q.skip(quickDepth)
			})
		case "object":
			o := &s.Object
			return seen.once(2) && q.object(func(key string) bool {
				switch key {
				case "key":
					return seenObject.once(1) && q.string(&o.Key)
				case "size":
					o.Size = &r.size
					return seenObject.once(2) && q.number(o.Size)
				case "eTag":
					return seenObject.once(4) && q.string(&o.ETag)
				case "versionId":
					return seenObject.once(8) && q.string(&o.VersionID)
				case "sequencer":
					return seenObject.once(16) && q.string(&o.Sequencer)
				}
				return !alike(key, "key", "size", "eTag", "versionId", "sequencer") && q.skip(quickDepth)
			})
		}
		return !alike(key, "bucket", "object") && q.skip(quickDepth)
	})
}

// fields are those of an object that were read, a bit each.
type fields int

// once notes that a field is read, and reports false when it was before.
func (f *fields) once(field fields) bool {
	before := *f & field
	*f |= field
	return before == 0
}

// alike reports whether encoding/json would take a key for one of these although it is spelt differently.
func alike(key string, names ...string) bool {
	for _, name := range names {
		if strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

func (q *quick) space() {
	for q.at < len(q.text) && (q.text[q.at] == ' ' || q.text[q.at] == '\n' || q.text[q.at] == '\r' || q.text[q.at] == '\t') {
		q.at++
	}
}

// next takes a character, after any space.
func (q *quick) next(c byte) bool {
	q.space()
	if q.at < len(q.text) && q.text[q.at] == c {
		q.at++
		return true
	}
	return false
}

// object calls member for each, which reads its value.
func (q *quick) object(member func(key string) bool) bool {
	if !q.next('{') {
		return false
	}
	for first := true; !q.next('}'); first = false {
		var key string
		if !first && !q.next(',') || !q.string(&key) || !q.next(':') || !member(key) {
			return false
		}
	}
	return true
}

// array calls element for each, which reads it.
func (q *quick) array(element func() bool) bool {
	if !q.next('[') {
		return false
	}
	for first := true; !q.next(']'); first = false {
		if !first && !q.next(',') || !element() {
			return false
		}
	}
	return true
}

func (q *quick) string(to *string) bool {
	if !q.next('"') {
		return false
	}
	rest := q.text[q.at:]
	n := 0
	for n < len(rest) && plain[rest[n]] {
		n++
	}
	if n == len(rest) || rest[n] != '"' {
		return false
	}
	*to = rest[:n]
	q.at += n + 1
	return true
}

// plain are the characters that stand for themselves in a string: ASCII without controls, quotes and backslashes.
var plain = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

func (q *quick) number(to *int64) bool {
	q.space()
	from := q.at
	for ; q.at < len(q.text) && q.text[q.at] >= '0' && q.text[q.at] <= '9'; q.at++ {
		*to = *to*10 + int64(q.text[q.at]-'0')
	}
	digits := q.text[from:q.at]
	ends := q.at < len(q.text) && strings.IndexByte(",}] \n\r\t", q.text[q.at]) >= 0
	return ends && (digits == "0" || len(digits) > 0 && len(digits) <= 18 && digits[0] != '0')
}

// quickDepth is how deep what is passed over may nest: S3's own nests twice.
const quickDepth = 4

// skip passes over a value that nobody asks for.
func (q *quick) skip(depth int) bool {
	if depth == 0 {
		return false
	}
	q.space()
	var text string
	var number int64
	switch rest := q.text[q.at:]; {
	case strings.HasPrefix(rest, "{"):
		return q.object(func(string) bool { return q.skip(depth - 1) })
	case strings.HasPrefix(rest, "["):
		return q.array(func() bool { return q.skip(depth - 1) })
	case strings.HasPrefix(rest, `"`):
		return q.string(&text)
	default:
		return q.number(&number)
	}
}
