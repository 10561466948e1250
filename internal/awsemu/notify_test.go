package awsemu_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// notify sends all creations and removals to a queue, of the keys that the filter lets through.
func (e *env) notify(arn string, filter *types.NotificationConfigurationFilter) {
	e.t.Helper()
	e.ok(e.configure(types.QueueConfiguration{
		Id: aws.String("to-queue"), QueueArn: &arn, Filter: filter,
		Events: []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
	}))
}

func (e *env) configure(queues ...types.QueueConfiguration) error {
	_, err := e.s3.PutBucketNotificationConfiguration(e.t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket: &e.bucket, NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: queues},
	})
	return err
}

type record struct {
	EventName string
	S3        struct {
		Object struct {
			Key, VersionId, Sequencer string
			ETag                      *string
			Size                      *int64
		}
	}
}

func (e *env) events(url string, n int) []record {
	e.t.Helper()
	var out []record
	for _, body := range e.drain(url, n) {
		var m struct{ Records []record }
		if err := json.Unmarshal([]byte(body), &m); err != nil || len(m.Records) != 1 {
			e.t.Fatalf("message %s: %v", body, err)
		}
		out = append(out, m.Records[0])
	}
	if len(out) != n {
		e.t.Fatalf("%d events, want %d", len(out), n)
	}
	return out
}

// TestMessageShape compares a whole message with the structure in the user guide, "Event message structure".
func TestMessageShape(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Truncate(time.Millisecond)
	e := start(t, awsemu.Config{Now: func() time.Time { return at }})
	q, arn := e.queue("q", nil)
	e.notify(arn, nil)
	var test map[string]string
	if err := json.Unmarshal([]byte(e.drain(q, 1)[0]), &test); err != nil {
		t.Fatal(err)
	}
	if test["Service"] != "Amazon S3" || test["Event"] != "s3:TestEvent" || test["Bucket"] != "coats" || test["Time"] == "" || test["RequestId"] == "" || test["HostId"] == "" || len(test) != 6 {
		t.Errorf("test event %v", test)
	}
	put := e.put("dir/a b+é(1)*.jpg", "hello")
	var got map[string]any
	if err := json.Unmarshal([]byte(e.drain(q, 1)[0]), &got); err != nil {
		t.Fatal(err)
	}
	r := got["Records"].([]any)[0].(map[string]any)
	elements := r["responseElements"].(map[string]any)
	object := r["s3"].(map[string]any)["object"].(map[string]any)
	if elements["x-amz-request-id"] == "" || elements["x-amz-id-2"] == "" || object["sequencer"] == "" {
		t.Errorf("empty: %v %v", elements, object)
	}
	want := fmt.Sprintf(`{"Records":[{"awsRegion":"us-east-1","eventName":"ObjectCreated:Put","eventSource":"aws:s3","eventTime":%q,"eventVersion":"2.1",`+
		`"requestParameters":{"sourceIPAddress":"127.0.0.1"},"responseElements":{"x-amz-id-2":%q,"x-amz-request-id":%q},`+
		`"s3":{"bucket":{"arn":"arn:aws:s3:::coats","name":"coats","ownerIdentity":{"principalId":%q}},"configurationId":"to-queue",`+
		`"object":{"eTag":%q,"key":"dir/a+b%%2B%%C3%%A9%%281%%29*.jpg","sequencer":%q,"size":5},"s3SchemaVersion":"1.0"},`+
		`"userIdentity":{"principalId":"AWS:000000000000"}}]}`,
		at.Format("2006-01-02T15:04:05.000Z"), elements["x-amz-id-2"], elements["x-amz-request-id"],
		r["s3"].(map[string]any)["bucket"].(map[string]any)["ownerIdentity"].(map[string]any)["principalId"],
		strings.Trim(*put.ETag, `"`), object["sequencer"])
	if again, _ := json.Marshal(got); string(again) != want {
		t.Errorf("message\n%s, want\n%s", again, want)
	}
}

// TestEventNames drives every operation that sends an event, without versions and with them.
func TestEventNames(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	q, arn := e.queue("q", nil)
	e.notify(arn, nil)
	e.drain(q, 1)
	remove := func(key string, version *string) *s3.DeleteObjectOutput {
		out, err := e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: &key, VersionId: version})
		e.ok(err)
		return out
	}
	expect := func(name, key string, version *string) {
		t.Helper()
		r := e.events(q, 1)[0]
		k, _ := url.QueryUnescape(r.S3.Object.Key)
		created := strings.HasPrefix(name, "ObjectCreated")
		if r.EventName != name || k != key || r.S3.Object.VersionId != aws.ToString(version) || created != (r.S3.Object.Size != nil) || created != (r.S3.Object.ETag != nil) {
			t.Errorf("event %+v, want %s of %s", r, name, key)
		}
	}
	e.put("a", "1")
	expect("ObjectCreated:Put", "a", nil)
	_, err := e.s3.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &e.bucket, Key: aws.String("b"), CopySource: aws.String("coats/a")})
	e.ok(err)
	expect("ObjectCreated:Copy", "b", nil)
	e.multipart("c", "whole")
	expect("ObjectCreated:CompleteMultipartUpload", "c", nil)
	remove("a", nil)
	expect("ObjectRemoved:Delete", "a", nil)
	remove("a", nil) // not there: no event

	e.versioning(types.BucketVersioningStatusEnabled)
	v := e.put("a", "2").VersionId
	expect("ObjectCreated:Put", "a", v)
	marker := remove("a", nil)
	expect("ObjectRemoved:DeleteMarkerCreated", "a", marker.VersionId)
	remove("a", v)
	expect("ObjectRemoved:Delete", "a", v)
	remove("a", marker.VersionId)
	expect("ObjectRemoved:Delete", "a", marker.VersionId)
	_, err = e.s3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &e.bucket, Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("b")}, {Key: aws.String("c")}},
	}})
	e.ok(err)
	for _, r := range e.events(q, 2) {
		if r.EventName != "ObjectRemoved:DeleteMarkerCreated" {
			t.Errorf("event %+v", r)
		}
	}
	if more := e.receive(q, 0); len(more) > 0 {
		t.Errorf("one event too many: %s", *more[0].Body)
	}
}

// TestSequencer overwrites and deletes one key, across a restart and with a clock that is set back.
func TestSequencer(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	var last big.Int
	lengths := map[int]bool{}
	textual := true
	var previous string
	for round := range 2 {
		emu, err := awsemu.New(awsemu.Config{Dir: dir, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		e := serve(t, emu, newHTTP(emu))
		q, arn := e.queue("q", nil)
		if round == 0 {
			e.notify(arn, nil)
			e.drain(q, 1)
		}
		for i := range 8 {
			if i%4 == 3 {
				_, err := e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k")})
				e.ok(err)
			} else {
				e.put("k", fmt.Sprint(i))
			}
			s := e.events(q, 1)[0].S3.Object.Sequencer
			n, ok := new(big.Int).SetString(s, 16)
			if !ok || s != strings.ToUpper(s) || n.Cmp(&last) <= 0 {
				t.Fatalf("sequencer %s does not come after %X", s, &last)
			}
			last = *n
			lengths[len(s)] = true
			textual = textual && s > previous
			previous = s
		}
		e.ok(emu.Close())
		c.advance(-time.Minute)
	}
	if len(lengths) < 2 || textual {
		t.Errorf("lengths %v: comparing text would go unnoticed", lengths)
	}
}

func TestNotificationFilter(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	q, arn := e.queue("q", nil)
	rules := func(prefix, suffix string) *types.NotificationConfigurationFilter {
		return &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{
			{Name: types.FilterRuleNamePrefix, Value: &prefix}, {Name: types.FilterRuleNameSuffix, Value: &suffix},
		}}}
	}
	e.notify(arn, rules("up/", ".jpg"))
	e.drain(q, 1)
	for _, key := range []string{"up/1.jpg", "up/2.png", "down/3.jpg", "up/4.jpg", "up.jpg"} {
		e.put(key, "x")
	}
	got := e.events(q, 2)
	if got[0].S3.Object.Key != "up/1.jpg" || got[1].S3.Object.Key != "up/4.jpg" {
		t.Errorf("events %+v", got)
	}
	out, err := e.s3.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: &e.bucket})
	e.ok(err)
	if c := out.QueueConfigurations[0]; *c.Id != "to-queue" || *c.QueueArn != arn || len(c.Events) != 2 || *c.Filter.Key.FilterRules[1].Value != ".jpg" {
		t.Errorf("configuration %+v", c)
	}
	conf := func(arn string, filter *types.NotificationConfigurationFilter, events ...types.Event) types.QueueConfiguration {
		return types.QueueConfiguration{QueueArn: &arn, Events: events, Filter: filter}
	}
	e.wantCode(e.configure(conf("arn:aws:sqs:us-east-1:000000000000:none", nil, "s3:ObjectCreated:*")), "InvalidArgument")
	e.wantCode(e.configure(conf(arn, nil, "s3:ObjectEaten:*")), "InvalidArgument")
	e.wantCode(e.configure(conf(arn, nil, "s3:ObjectCreated:*"), conf(arn, rules("a", ""), "s3:ObjectCreated:Put")), "InvalidArgument")
	e.ok(e.configure(conf(arn, rules("a", ""), "s3:ObjectCreated:*"), conf(arn, rules("b", ""), "s3:ObjectCreated:*")))
	e.drain(q, 2)
	e.ok(e.configure())
	e.put("b1", "x")
	if ms := e.receive(q, 0); len(ms) > 0 {
		t.Errorf("an event after the configuration was removed: %s", *ms[0].Body)
	}
}

// TestNotificationFaults checks each fault of notifications, and that it ends after its count.
func TestNotificationFaults(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	q, arn := e.queue("q", nil)
	e.notify(arn, nil)
	e.drain(q, 1)
	f := e.emu.Faults()
	n := 0
	put := func(times int) {
		for range times {
			n++
			e.put(fmt.Sprintf("k%d", n), "x")
		}
	}
	keys := func(count int) (out []string) {
		t.Helper()
		for _, r := range e.events(q, count) {
			out = append(out, r.S3.Object.Key)
		}
		return out
	}
	f.DropNotifications(2)
	put(3)
	if got := keys(1); got[0] != "k3" {
		t.Errorf("dropped: %v", got)
	}
	f.DoubleNotifications(1)
	put(2)
	if got := keys(3); !slices.Equal(got, []string{"k4", "k4", "k5"}) {
		t.Errorf("doubled: %v", got)
	}
	f.ReorderNotifications(3)
	put(2)
	if f.HeldNotifications() != 2 {
		t.Errorf("%d held", f.HeldNotifications())
	}
	put(2)
	if got := keys(4); !slices.Equal(got, []string{"k8", "k7", "k6", "k9"}) {
		t.Errorf("reordered: %v", got)
	}
	f.HoldNotifications()
	put(2)
	if ms := e.receive(q, 0); len(ms) != 0 {
		t.Error("a held notification arrived")
	}
	if released := f.ReleaseNotifications(); released != 2 {
		t.Errorf("released %d", released)
	}
	if got := keys(2); !slices.Equal(got, []string{"k10", "k11"}) {
		t.Errorf("held: %v", got)
	}
	f.DelayNotifications(1, 300*time.Millisecond)
	put(2)
	if got := keys(2); !slices.Equal(got, []string{"k13", "k12"}) {
		t.Errorf("delayed: %v", got)
	}
	f.DropNotifications(awsemu.Forever)
	put(3)
	f.Clear()
	put(1)
	if got := keys(1); got[0] != "k17" {
		t.Errorf("after clearing: %v", got)
	}
}
