package s3event

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// s3Record is one record of S3's own message.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
type s3Record struct {
	EventVersion string    `json:"eventVersion"`
	EventSource  string    `json:"eventSource"`
	EventTime    string    `json:"eventTime"`
	EventName    string    `json:"eventName"`
	S3           *s3Object `json:"s3"`
}

type s3Object struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size"`
		ETag      string `json:"eTag"`
		VersionID string `json:"versionId"`
		Sequencer string `json:"sequencer"`
	} `json:"object"`
}

// decodeRecords returns the records that are good, and an error that tells of those that are not.
func (e *envelope) decodeRecords() ([]Record, error) {
	if e.records == nil {
		return e.decodeApart()
	}
	return decodeEach(len(e.records), func(i int) (Record, error) { return e.records[i].decode() })
}

// decodeApart is decodeRecords when they could not be decoded together with the body.
func (e *envelope) decodeApart() ([]Record, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(e.raw, &raws); err != nil {
		return nil, jsonError("Records", err)
	}
	return decodeEach(len(raws), func(i int) (Record, error) {
		var s *s3Record
		if err := json.Unmarshal(raws[i], &s); err != nil {
			return Record{}, jsonError("it", err)
		}
		return s.decode()
	})
}

// decodeEach returns those of n records that can be decoded, and an error that tells of the others.
func decodeEach(n int, decode func(i int) (Record, error)) ([]Record, error) {
	switch {
	case n == 0:
		return nil, errors.New("Records has no record")
	case n > MaxRecords:
		return nil, fmt.Errorf("Records has %d records, more than %d", n, MaxRecords)
	}
	records := make([]Record, 0, n)
	var bad []error
	for i := range n {
		r, err := decode(i)
		if err != nil {
			bad = append(bad, fmt.Errorf("record %d: %w", i, err))
			continue
		}
		records = append(records, r)
	}
	return records, joinBounded(bad)
}

func (s *s3Record) decode() (Record, error) {
	if s == nil {
		return Record{}, errors.New("it is null")
	}
	if major, _, _ := strings.Cut(s.EventVersion, "."); major != "2" {
		return Record{}, fmt.Errorf("eventVersion is %s, and only 2.x is understood", quote(s.EventVersion))
	}
	if !strings.HasSuffix(s.EventSource, ":s3") { // aws:s3; stores that imitate it put their own name first
		return Record{}, fmt.Errorf("eventSource is %s, not S3", quote(s.EventSource))
	}
	if s.S3 == nil {
		return Record{}, errors.New("it has no s3")
	}
	o := &s.S3.Object
	// S3 encodes the key as a form value: a space is "+", and a plus "%2B".
	key, err := url.QueryUnescape(o.Key)
	if err != nil {
		return Record{}, fmt.Errorf("s3.object.key %s is not form-encoded", quote(o.Key))
	}
	return record{
		Record: Record{
			Action: action(s.EventName), EventName: s.EventName, Bucket: s.S3.Bucket.Name, Key: key,
			ETag: o.ETag, VersionID: o.VersionID, Sequencer: o.Sequencer,
		},
		size: o.Size, time: s.EventTime,
	}.check()
}

// action returns the action of an event by S3's name of it, with or without the "s3:" with which it is configured.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
func action(eventName string) Action {
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(eventName, "s3:"), ":"); kind {
	case "ObjectCreated":
		return ActionCreated
	case "ObjectRemoved", "LifecycleExpiration":
		return ActionRemoved
	default:
		return ActionOther
	}
}

// record is a Record with what is yet to be checked.
type record struct {
	Record
	size *int64
	time string
}

// check returns the record, or an error that names the field that is missing or wrong.
func (r record) check() (Record, error) {
	for _, f := range []struct {
		name, value string
		required    bool
		limit       int
	}{
		{"the event's name", r.EventName, true, maxText},
		{"the bucket's name", r.Bucket, true, maxText},
		{"the object's key", r.Key, true, MaxKey},
		{"the object's entity tag", r.ETag, false, maxText},
		{"the object's version", r.VersionID, false, maxText},
		{"the sequencer", r.Sequencer, false, maxText},
	} {
		switch {
		case f.value == "" && f.required:
			return Record{}, fmt.Errorf("%s is missing", f.name)
		case len(f.value) > f.limit:
			return Record{}, fmt.Errorf("%s has %d bytes, more than %d", f.name, len(f.value), f.limit)
		case !utf8.ValidString(f.value):
			return Record{}, fmt.Errorf("%s is not UTF-8", f.name)
		case strings.ContainsRune(f.value, 0):
			return Record{}, fmt.Errorf("%s contains NUL", f.name)
		}
	}
	if r.Action == ActionCreated && r.size == nil {
		return Record{}, errors.New("the object's size is missing")
	}
	if r.size != nil {
		if *r.size < 0 {
			return Record{}, fmt.Errorf("the object's size is %d", *r.size)
		}
		r.SizeBytes = *r.size
	}
	if r.time != "" {
		t, err := time.Parse(time.RFC3339, r.time)
		if err != nil {
			return Record{}, fmt.Errorf("the event's time %s is not RFC 3339", quote(r.time))
		}
		r.Time = t.UTC()
	}
	r.ETag = strings.Trim(r.ETag, `"`) // S3 sends none in events; some stores do
	return r.Record, nil
}
