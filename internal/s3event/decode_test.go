package s3event_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/s3event"
)

const key = "media/7f/01936b2e-8c1d-7a4e-9b52-6f0c1d2e3a7f"

func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDecodeEnvelopes(t *testing.T) {
	t.Parallel()
	put := s3event.Record{
		Action: s3event.ActionCreated, EventName: "ObjectCreated:Put", Bucket: "example-media", Key: key,
		SizeBytes: 482113, ETag: "d41d8cd98f00b204e9800998ecf8427e", VersionID: "096fKKXTRTtl3on89fVO.nfljtsv6qko",
		Sequencer: "0055AED6DCD90281E5", Time: at(t, "2024-11-27T09:15:02.345Z"),
	}
	bridged := s3event.Record{
		Action: s3event.ActionCreated, EventName: "Object Created", Bucket: "example-media", Key: key,
		SizeBytes: 482113, ETag: "d41d8cd98f00b204e9800998ecf8427e", VersionID: "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
		Sequencer: "00617F08299329D189", Time: at(t, "2024-11-27T09:15:02Z"),
	}
	for file, want := range map[string]s3event.Message{
		"s3_put.json":              {Envelope: s3event.EnvelopeS3, Records: []s3event.Record{put}},
		"sns_put.json":             {Envelope: s3event.EnvelopeSNS, Records: []s3event.Record{put}},
		"eventbridge_created.json": {Envelope: s3event.EnvelopeEventBridge, Records: []s3event.Record{bridged}},
		"sns_eventbridge.json":     {Envelope: s3event.EnvelopeSNSEventBridge, Records: []s3event.Record{bridged}},
		"s3_test.json":             {Envelope: s3event.EnvelopeS3, Test: true, TestBucket: "example-media"},
		"sns_test.json":            {Envelope: s3event.EnvelopeSNS, Test: true, TestBucket: "example-media"},
		"s3_key_encoded.json": {Envelope: s3event.EnvelopeS3, Records: []s3event.Record{{
			Action: s3event.ActionCreated, EventName: "ObjectCreated:CompleteMultipartUpload", Bucket: "example-media",
			Key: "holiday photos/1+1/café.jpg", SizeBytes: 5368709121, ETag: "9b2cf535f27731c974343645a3985328-205",
			Sequencer: "0055AED6DCD90281E6", Time: at(t, "2024-11-27T09:15:02.345Z"),
		}}},
		"s3_removed.json": {Envelope: s3event.EnvelopeS3, Records: []s3event.Record{{
			Action: s3event.ActionRemoved, EventName: "ObjectRemoved:DeleteMarkerCreated", Bucket: "example-media",
			Key: key, ETag: "d41d8cd98f00b204e9800998ecf8427e", VersionID: "xyz", Sequencer: "0055AED6DCD90281F5",
			Time: at(t, "2024-11-28T09:15:02.345Z"),
		}}},
		"s3_minio.json": {Envelope: s3event.EnvelopeS3, Records: []s3event.Record{{
			Action: s3event.ActionCreated, EventName: "s3:ObjectCreated:Put", Bucket: "example-media", Key: key,
			SizeBytes: 14, ETag: "6cd3556deb0da54bca060b4c39479839", Sequencer: "17C7F1B5F4A3E2D0",
			Time: at(t, "2024-11-27T09:15:02.345Z"),
		}}},
		"eventbridge_deleted.json": {Envelope: s3event.EnvelopeEventBridge, Records: []s3event.Record{{
			// Nothing says that EventBridge encodes keys: "+" and "%" stay what they are.
			Action: s3event.ActionRemoved, EventName: "Object Deleted", Bucket: "example-media", Key: "a+b%41",
			ETag: "d41d8cd98f00b204e9800998ecf8427e", VersionID: "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF",
			Sequencer: "00617F0837B476E463", Time: at(t, "2024-11-28T09:15:02Z"),
		}}},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got, err := s3event.Decode(string(read(t, file)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestDecodeSeveralRecords(t *testing.T) {
	t.Parallel()
	m, err := s3event.Decode(string(read(t, "s3_several.json")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.Records {
		got = append(got, fmt.Sprintf("%s %s", r.Action, r.Sequencer))
	}
	if want := "created 01, other 02, removed 03"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDecodePartlyBad is what lets the good records of a message land while the message stays in the queue.
func TestDecodePartlyBad(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"s3_partly_bad.json", "sns_partly_bad.json"} {
		m, err := s3event.Decode(string(read(t, file)))
		if err == nil || !strings.Contains(err.Error(), "record 0: the object's size is -4") {
			t.Errorf("%s: the error is %v", file, err)
		}
		if len(m.Records) != 1 || m.Records[0].SizeBytes != 12 {
			t.Errorf("%s: the good record is missing: %+v", file, m.Records)
		}
	}
}

// TestDecodeKeepsRecordsApart has one record whose size is no number among good ones, in a body that is small and in one
// that is not.
func TestDecodeKeepsRecordsApart(t *testing.T) {
	t.Parallel()
	one := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(read(t, "s3_put.json"))), `{"Records":[`), "]}")
	for _, n := range []int{2, 200} {
		all := strings.Repeat(one+",", n)
		m, err := s3event.Decode(`{"Records":[` + strings.TrimSuffix(all, ",") + `]}`)
		if err != nil || len(m.Records) != n {
			t.Errorf("%d records: got %d: %v", n, len(m.Records), err)
		}
		m, err = s3event.Decode(`{"Records":[` + all + strings.Replace(one, "482113", "true", 1) + `]}`)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("record %d: it has the wrong type", n)) || len(m.Records) != n {
			t.Errorf("%d records and a bad one: got %d: %v", n, len(m.Records), err)
		}
	}
}

// TestDecodeIsTheSameAtAnySize: what a body says does not depend on its length. One with two Records is refused, since a
// record of it could be made of parts of both.
func TestDecodeIsTheSameAtAnySize(t *testing.T) {
	t.Parallel()
	one := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(read(t, "s3_put.json"))), `{"Records":[`), "]}")
	other := strings.NewReplacer(`"sequencer":`, `"x":`, key, "other").Replace(one)
	for name, body := range map[string]string{
		"twice":              `{"Records":[` + one + `],"Records":[` + other + `]}`,
		"in another case":    `{"Records":[` + one + `],"records":[` + other + `]}`,
		"none first":         `{"Records":[],"Records":[` + one + `]}`,
		"a null first":       `{"Records":null,"Records":[` + one + `]}`,
		"a null second":      `{"Records":[` + one + `],"Records":null}`,
		"a number second":    `{"Records":[` + one + `],"Records":7}`,
		"a bad record first": `{"Records":[7],"Records":[` + one + `]}`,
	} {
		for _, body := range []string{body, body + strings.Repeat(" ", 40<<10)} {
			if m, err := s3event.Decode(body); err == nil || !strings.Contains(err.Error(), "the body has Records twice") || len(m.Records) != 0 {
				t.Errorf("%s, of %d bytes: %+v, %v", name, len(body), m.Records, err)
			}
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	bodies := []string{`{"Records":null}`, `{"Records":[]}`, `{"Records":[null]}`, `{"Records":7}`, `{"Records":[7]}`}
	for _, file := range files {
		bodies = append(bodies, string(read(t, filepath.Base(file))))
	}
	for _, body := range bodies {
		small, smallErr := s3event.Decode(body)
		large, largeErr := s3event.Decode(body + strings.Repeat(" ", 40<<10))
		if !reflect.DeepEqual(small, large) || fmt.Sprint(smallErr) != fmt.Sprint(largeErr) {
			t.Errorf("%.100s\nis %+v, %v\nand %+v, %v", body, small, smallErr, large, largeErr)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := string(read(t, "s3_put.json"))
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the event", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	bridge := string(read(t, "eventbridge_created.json"))
	for name, c := range map[string]struct{ body, want string }{
		"empty":               {"", "is empty"},
		"not JSON":            {"hello", "not JSON"},
		"truncated":           {good[:len(good)/2], "not JSON"},
		"trailing":            {good + "{}", "not JSON"},
		"null":                {"null", "no S3 event"},
		"array":               {"[]", "wrong type of JSON value"},
		"string":              {`"Records"`, "wrong type of JSON value"},
		"empty object":        {"{}", "no S3 event"},
		"another job":         {`{"job":"resize","id":7}`, "no S3 event"},
		"not UTF-8":           {"{\"Records\":\"\xff\"}", "not UTF-8"},
		"too large":           {`{"a":"` + strings.Repeat("x", s3event.MaxBody) + `"}`, "more than 1048576"},
		"too deep":            {strings.Repeat("[", 500000), "deeper than 32"},
		"two shapes":          {edit(`{"Records":`, `{"Type":"Notification","Records":`), "more than one shape at once: Records, Type"},
		"Records not a list":  {`{"Records":{"a":1}}`, "Records is the wrong type"},
		"no records":          {`{"Records":[]}`, "has no record"},
		"null records":        {`{"Records":null}`, "no S3 event"},
		"null record":         {`{"Records":[null]}`, "record 0: it is null"},
		"number record":       {`{"Records":[7]}`, "wrong type of JSON value"},
		"too many records":    {`{"Records":[` + strings.Repeat("{},", s3event.MaxRecords) + `{}]}`, "has 1001 records, more than 1000"},
		"version 3":           {edit(`"2.1"`, `"3.0"`), `eventVersion is "3.0"`},
		"version 20":          {edit(`"2.1"`, `"20.1"`), `eventVersion is "20.1"`},
		"no version":          {edit(`"eventVersion":"2.1",`, ``), `eventVersion is ""`},
		"another service":     {edit(`"aws:s3"`, `"aws:ses"`), `eventSource is "aws:ses"`},
		"no event name":       {edit(`"ObjectCreated:Put"`, `""`), "event's name is missing"},
		"no s3":               {edit(`"s3":{`, `"s4":{`), "has no s3"},
		"no bucket":           {edit(`"name":"example-media"`, `"name":""`), "bucket's name is missing"},
		"no key":              {edit(`"key":`, `"yek":`), "key is missing"},
		"bad key escape":      {edit(key, "a%zz"), "not form-encoded"},
		"key not UTF-8":       {edit(key, "a%ff"), "key is not UTF-8"},
		"key with NUL":        {edit(key, "a%00"), "key contains NUL"},
		"key too long":        {edit(key, strings.Repeat("k", 1025)), "key has 1025 bytes, more than 1024"},
		"no size":             {edit(`"size":482113,`, ``), "size is missing"},
		"null size":           {edit(`482113`, `null`), "size is missing"},
		"negative size":       {edit(`482113`, `-1`), "size is -1"},
		"fraction":            {edit(`482113`, `1.5`), "wrong type of JSON value in"},
		"size as text":        {edit(`482113`, `"482113"`), "wrong type of JSON value in"},
		"size over 64 bits":   {edit(`482113`, `99999999999999999999`), "wrong type of JSON value in"},
		"NUL in entity tag":   {edit(`d41d8cd98f00b204e9800998ecf8427e`, `\u0000`), "entity tag contains NUL"},
		"NUL in version":      {edit(`096fKKXTRTtl3on89fVO.nfljtsv6qko`, `\u0000`), "version contains NUL"},
		"long sequencer":      {edit(`0055AED6DCD90281E5`, strings.Repeat("A", 2000)), "sequencer has 2000 bytes"},
		"bad time":            {edit(`2024-11-27T09:15:02.345Z`, `yesterday`), `time "yesterday" is not RFC 3339`},
		"other Event":         {`{"Service":"Amazon S3","Event":"s3:Other"}`, `Event "s3:Other"`},
		"SNS subscription":    {string(read(t, "sns_subscription.json")), `type "SubscriptionConfirmation"`},
		"SNS without Message": {`{"Type":"Notification"}`, "no Message"},
		"SNS with text":       {`{"Type":"Notification","Message":"hello"}`, "within an SNS notification: the body is not JSON"},
		"SNS with object":     {`{"Type":"Notification","Message":{"Records":[]}}`, "wrong type of JSON value"},
		"SNS in SNS":          {string(read(t, "sns_in_sns.json")), "within another"},
		"SNS with empty":      {`{"Type":"Notification","Message":""}`, "within an SNS notification: the body is empty"},
		"bridge of EC2":       {strings.Replace(bridge, "aws.s3", "aws.ec2", 1), `source is "aws.ec2"`},
		"bridge version":      {strings.Replace(bridge, `"version":"0","id"`, `"version":"1","id"`, 1), `version is "1"`},
		"bridge no detail":    {`{"detail-type":"Object Created","source":"aws.s3"}`, "no detail"},
		"bridge no type":      {strings.Replace(bridge, "Object Created", "", 1), "no detail-type"},
		"bridge null detail":  {`{"detail-type":"Object Created","source":"aws.s3","detail":null}`, "bucket's name is missing"},
		"bridge no size":      {strings.Replace(bridge, `"size":482113,`, ``, 1), "size is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := s3event.Decode(c.body)
			if err == nil {
				t.Fatalf("it was understood: %+v", m)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, without %q", err, c.want)
			}
			if len(m.Records) != 0 || m.Test {
				t.Errorf("it returned something beside the error: %+v", m)
			}
		})
	}
}

// TestDecodeErrorsAreBounded is there because errors go into logs: neither a long value nor many bad records may make
// them long.
func TestDecodeErrorsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", 900000)
	good := string(read(t, "s3_put.json"))
	for name, body := range map[string]string{
		"number":   strings.Replace(good, "482113", long, 1),
		"key":      strings.Replace(good, key, "%zz"+long, 1),
		"version":  strings.Replace(good, `"2.1"`, `"`+long+`"`, 1),
		"type":     `{"Type":"` + long + `"}`,
		"many bad": `{"Records":[` + strings.Repeat("{},", s3event.MaxRecords-1) + `{}]}`,
		"newlines": `{"Type":"` + strings.Repeat(`\n\u2028`, 1000) + `"}`,
	} {
		_, err := s3event.Decode(body)
		if err == nil {
			t.Errorf("%s: it was understood", name)
			continue
		}
		if n := len(err.Error()); n > 600 {
			t.Errorf("%s: the error has %d bytes", name, n)
		}
	}
}
