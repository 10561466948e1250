package s3event

import "github.com/coatcheck/coatcheck/internal/plainjson"

// quickRecords reads a body that looks as S3 writes it, in a fifth of the time that encoding/json takes. It reports
// false of whatever package plainjson will not read, which is an escape, what is not ASCII, a fraction, a null or an error, and of
// a key that occurs twice or in another case, any key beside Records, and deep nesting. encoding/json decides then.
// What it reads it reads as encoding/json does, which FuzzQuick holds it to.
func quickRecords(body string) ([]*s3Record, bool) {
	q := quick{plainjson.New(body)}
	var records []*s3Record
	var seen plainjson.Fields
	ok := q.Object(func(key string) bool {
		return key == "Records" && seen.Once(1) && q.Array(func() bool {
			r := new(quickRecord)
			records = append(records, &r.s3Record)
			return len(records) <= MaxRecords && q.record(r)
		})
	})
	return records, ok && records != nil && q.End()
}

type quick struct{ plainjson.Reader }

// quickRecord is a record and what it points to.
type quickRecord struct {
	s3Record
	s3   s3Object
	size int64
}

func (q *quick) record(r *quickRecord) bool {
	var seen plainjson.Fields
	return q.Object(func(key string) bool {
		switch key {
		case "eventVersion":
			return seen.Once(1) && q.String(&r.EventVersion)
		case "eventSource":
			return seen.Once(2) && q.String(&r.EventSource)
		case "eventTime":
			return seen.Once(4) && q.String(&r.EventTime)
		case "eventName":
			return seen.Once(8) && q.String(&r.EventName)
		case "s3":
			r.S3 = &r.s3
			return seen.Once(16) && q.s3(r)
		}
		return !plainjson.Alike(key, "eventVersion", "eventSource", "eventTime", "eventName", "s3") && q.Skip(quickDepth)
	})
}

func (q *quick) s3(r *quickRecord) bool {
	s := &r.s3
	var seen, seenBucket, seenObject plainjson.Fields
	return q.Object(func(key string) bool {
		switch key {
		case "bucket":
			return seen.Once(1) && q.Object(func(key string) bool {
				if key == "name" {
					return seenBucket.Once(1) && q.String(&s.Bucket.Name)
				}
				return !plainjson.Alike(key, "name") && q.Skip(quickDepth)
			})
		case "object":
			o := &s.Object
			return seen.Once(2) && q.Object(func(key string) bool {
				switch key {
				case "key":
					return seenObject.Once(1) && q.String(&o.Key)
				case "size":
					o.Size = &r.size
					return seenObject.Once(2) && q.Number(o.Size)
				case "eTag":
					return seenObject.Once(4) && q.String(&o.ETag)
				case "versionId":
					return seenObject.Once(8) && q.String(&o.VersionID)
				case "sequencer":
					return seenObject.Once(16) && q.String(&o.Sequencer)
				}
				return !plainjson.Alike(key, "key", "size", "eTag", "versionId", "sequencer") && q.Skip(quickDepth)
			})
		}
		return !plainjson.Alike(key, "bucket", "object") && q.Skip(quickDepth)
	})
}

// quickDepth is how deep what is passed over may nest: S3's own nests twice.
const quickDepth = 4
