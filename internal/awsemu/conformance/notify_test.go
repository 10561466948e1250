package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// allow lets the bucket send to the queue. AWS refuses a notification to a queue without such a policy.
func (e *env) allow(q queue, bucket string) {
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},`+
		`"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:s3:::%s"}}}]}`, q.arn, bucket)
	_, err := e.sqs.SetQueueAttributes(e.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: map[string]string{"Policy": policy}})
	e.must(err, "setting the queue's policy")
}

// hexadecimal returns a sequencer as the number that it is compared as.
func (e *env) hexadecimal(sequencer string) *big.Int {
	n, ok := new(big.Int).SetString(sequencer, 16)
	if !ok {
		e.Fatalf("sequencer %q is not hexadecimal", sequencer)
	}
	return n
}

// increasing checks that each record's sequencer is numerically greater than the one before.
func (e *env) increasing(records []record) {
	for i := 1; i < len(records); i++ {
		before, after := records[i-1].S3.Object.Sequencer, records[i].S3.Object.Sequencer
		if e.hexadecimal(before).Cmp(e.hexadecimal(after)) >= 0 {
			e.Errorf("sequencer %s of %s is not above %s of %s", after, records[i].EventName, before, records[i-1].EventName)
		}
	}
}

// shape returns the paths of all fields in a JSON document, each with its type.
func shape(path string, v any, into map[string]string) map[string]string {
	switch v := v.(type) {
	case map[string]any:
		for k, field := range v {
			shape(path+"."+k, field, into)
		}
	case []any:
		for _, item := range v {
			shape(path+"[]", item, into)
		}
	default:
		into[strings.TrimPrefix(path, ".")] = fmt.Sprintf("%T", v)
	}
	return into
}

// createdShape is an ObjectCreated event of AWS on a bucket without versioning, see "Event message structure" in the
// Amazon S3 User Guide.
var createdShape = map[string]string{
	"Records[].eventVersion":                        "string",
	"Records[].eventSource":                         "string",
	"Records[].awsRegion":                           "string",
	"Records[].eventTime":                           "string",
	"Records[].eventName":                           "string",
	"Records[].userIdentity.principalId":            "string",
	"Records[].requestParameters.sourceIPAddress":   "string",
	"Records[].responseElements.x-amz-request-id":   "string",
	"Records[].responseElements.x-amz-id-2":         "string",
	"Records[].s3.s3SchemaVersion":                  "string",
	"Records[].s3.configurationId":                  "string",
	"Records[].s3.bucket.name":                      "string",
	"Records[].s3.bucket.ownerIdentity.principalId": "string",
	"Records[].s3.bucket.arn":                       "string",
	"Records[].s3.object.key":                       "string",
	"Records[].s3.object.size":                      "float64",
	"Records[].s3.object.eTag":                      "string",
	"Records[].s3.object.sequencer":                 "string",
}

var notifyChecks = []check{
	{"test-event", func(e *env) {
		b := e.bucket()
		q := e.notified(b, nil, "s3:ObjectCreated:*")
		bodies := q.raw(1)
		if len(bodies) != 1 {
			e.Fatalf("%d messages", len(bodies))
		}
		var event map[string]string
		e.must(json.Unmarshal([]byte(bodies[0]), &event), "decoding "+bodies[0])
		e.wantKeys("fields", slices.Sorted(maps.Keys(event)), []string{"Bucket", "Event", "HostId", "RequestId", "Service", "Time"})
		if event["Service"] != "Amazon S3" || event["Event"] != "s3:TestEvent" || event["Bucket"] != b {
			e.Errorf("got %s", bodies[0])
		}
	}},
	{"shape", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		e.put(b, "k", body)
		bodies := q.raw(1)
		if len(bodies) != 1 {
			e.Fatalf("%d messages", len(bodies))
		}
		var event any
		e.must(json.Unmarshal([]byte(bodies[0]), &event), "decoding "+bodies[0])
		if got := shape("", event, map[string]string{}); !maps.Equal(got, createdShape) {
			for path, kind := range createdShape {
				if got[path] != kind {
					e.Errorf("%s is %q, want %q", path, got[path], kind)
				}
			}
			for path := range got {
				if createdShape[path] == "" {
					e.Errorf("%s is unknown to AWS", path)
				}
			}
		}
	}},
	{"values", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		tag := value(e.put(b, "k", body).ETag)
		bodies := q.raw(1)
		if len(bodies) != 1 {
			e.Fatalf("%d messages", len(bodies))
		}
		for _, pattern := range []string{
			`"eventVersion": ?"2\.\d+"`, `"eventSource": ?"aws:s3"`, `"awsRegion": ?"` + region + `"`, `"eventName": ?"ObjectCreated:Put"`,
			`"eventTime": ?"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`, `"s3SchemaVersion": ?"1\.0"`, `"configurationId": ?"uploads"`,
			`"name": ?"` + b + `"`, `"arn": ?"arn:aws:s3:::` + b + `"`, `"key": ?"k"`, `"size": ?16\b`,
			`"eTag": ?"` + strings.Trim(tag, `"`) + `"`, `"sequencer": ?"[0-9A-F]{16,}"`,
		} {
			if !regexp.MustCompile(pattern).MatchString(bodies[0]) {
				e.Errorf("no %s in %s", pattern, bodies[0])
			}
		}
		var event struct{ Records []record }
		e.must(json.Unmarshal([]byte(bodies[0]), &event), "decoding")
		at, err := time.Parse(time.RFC3339, event.Records[0].EventTime)
		if err != nil || time.Since(at) > time.Minute || time.Until(at) > 2*time.Second {
			e.Errorf("eventTime %s: %v", event.Records[0].EventTime, err)
		}
	}},
	{"key-encoding", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		e.put(b, "m/a b+é(1)%/x.jpg", body)
		r := q.records(1)[0]
		if want := "m/a+b%2B%C3%A9%281%29%25/x.jpg"; r.S3.Object.Key != want {
			e.Errorf("key %q, want %q", r.S3.Object.Key, want)
		}
	}},
	{"presigned-put", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		p := e.presignPut(b, "k", body)
		e.want(e.send("PUT", p.url, p.header, body), 200, "")
		if r := q.event("ObjectCreated:Put", "k"); value(r.S3.Object.Size) != int64(len(body)) || r.S3.Object.ETag != md5Hex(body) {
			e.Errorf("size %d, ETag %s", value(r.S3.Object.Size), r.S3.Object.ETag)
		}
	}},
	{"overwrite", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		e.put(b, "k", []byte("one"))
		q.event("ObjectCreated:Put", "k")
		e.put(b, "k", []byte("three"))
		if r := q.event("ObjectCreated:Put", "k"); value(r.S3.Object.Size) != 5 {
			e.Errorf("size %d", value(r.S3.Object.Size))
		}
	}},
	{"copy", func(e *env) {
		b, from := e.bucket(), e.bucket()
		e.put(from, "k", body)
		q := e.everything(b)
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(from + "/k")})
		e.must(err, "copying")
		if r := q.event("ObjectCreated:Copy", "to"); value(r.S3.Object.Size) != int64(len(body)) {
			e.Errorf("size %d", value(r.S3.Object.Size))
		}
	}},
	{"multipart", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		out, err := e.startUpload(b, "k").part(body).complete()
		e.must(err, "completing")
		r := q.event("ObjectCreated:CompleteMultipartUpload", "k")
		if value(r.S3.Object.Size) != int64(len(body)) || r.S3.Object.ETag != strings.Trim(value(out.ETag), `"`) {
			e.Errorf("size %d, ETag %s, want %s", value(r.S3.Object.Size), r.S3.Object.ETag, value(out.ETag))
		}
	}},
	{"delete", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		e.put(b, "k", body)
		q.event("ObjectCreated:Put", "k")
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		r := q.event("ObjectRemoved:Delete", "k")
		if r.S3.Object.Size != nil || r.S3.Object.ETag != "" {
			e.Errorf("a deletion says size %v and ETag %q", r.S3.Object.Size, r.S3.Object.ETag)
		}
		e.hexadecimal(r.S3.Object.Sequencer)
	}},
	{"delete-objects", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"a", "b c", "d"})
		q := e.everything(b)
		_, err := e.deleteObjects(b, false, id("a"), id("b c"))
		e.must(err, "deleting")
		var keys []string
		for _, r := range q.records(2) {
			keys = append(keys, r.key(e))
			if r.EventName != "ObjectRemoved:Delete" {
				e.Errorf("got %s", r.EventName)
			}
		}
		slices.Sort(keys)
		e.wantKeys("events", keys, []string{"a", "b c"})
	}},
	{"versions", func(e *env) {
		b := e.versionedBucket()
		q := e.everything(b)
		v := value(e.put(b, "k", body).VersionId)
		if r := q.event("ObjectCreated:Put", "k"); r.S3.Object.VersionID != v {
			e.Errorf("versionId %q, want %q", r.S3.Object.VersionID, v)
		}
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		if r := q.event("ObjectRemoved:DeleteMarkerCreated", "k"); r.S3.Object.VersionID != value(d.VersionId) {
			e.Errorf("versionId %q, want the marker's %q", r.S3.Object.VersionID, value(d.VersionId))
		}
		_, err = e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), VersionId: &v})
		e.must(err, "deleting the version")
		if r := q.event("ObjectRemoved:Delete", "k"); r.S3.Object.VersionID != v {
			e.Errorf("versionId %q, want %q", r.S3.Object.VersionID, v)
		}
	}},
	{"delete-objects-versions", func(e *env) {
		b := e.versionedBucket()
		v := value(e.put(b, "a", body).VersionId)
		e.put(b, "b", body)
		q := e.everything(b)
		_, err := e.deleteObjects(b, false, idVersion("a", &v), id("b"))
		e.must(err, "deleting")
		var got []string
		for _, r := range q.records(2) {
			got = append(got, r.EventName+" "+r.key(e))
		}
		slices.Sort(got)
		e.wantKeys("events", got, []string{"ObjectRemoved:Delete a", "ObjectRemoved:DeleteMarkerCreated b"})
	}},
	{"sequencer", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		var records []record
		for i := range 4 {
			e.put(b, "k", fmt.Append(nil, i))
			records = append(records, q.event("ObjectCreated:Put", "k"))
		}
		_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		records = append(records, q.event("ObjectRemoved:Delete", "k"))
		e.put(b, "k", body)
		records = append(records, q.event("ObjectCreated:Put", "k"))
		e.increasing(records)
	}},
	{"sequencer-of-versions", func(e *env) {
		b := e.versionedBucket()
		q := e.everything(b)
		e.put(b, "k", body)
		records := []record{q.event("ObjectCreated:Put", "k")}
		d, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		records = append(records, q.event("ObjectRemoved:DeleteMarkerCreated", "k"))
		_, err = e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k"), VersionId: d.VersionId})
		e.must(err, "deleting the marker")
		records = append(records, q.event("ObjectRemoved:Delete", "k"))
		e.increasing(records)
	}},
}

// suffixRule and prefixRule are filters of a notification.
func prefixRule(v string) types.FilterRule {
	return types.FilterRule{Name: types.FilterRuleNamePrefix, Value: &v}
}
func suffixRule(v string) types.FilterRule {
	return types.FilterRule{Name: types.FilterRuleNameSuffix, Value: &v}
}
