package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var notifyFilterChecks = []check{
	{"configuration", func(e *env) {
		b := e.bucket()
		q := e.notified(b, []types.FilterRule{prefixRule("media/"), suffixRule(".jpg")}, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
		out, err := e.s3.GetBucketNotificationConfiguration(e.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: &b})
		e.must(err, "getting the configuration")
		if len(out.QueueConfigurations) != 1 {
			e.Fatalf("%d configurations", len(out.QueueConfigurations))
		}
		c := out.QueueConfigurations[0]
		if value(c.Id) != "uploads" || value(c.QueueArn) != q.arn || len(c.Events) != 2 || c.Filter == nil || c.Filter.Key == nil || len(c.Filter.Key.FilterRules) != 2 {
			e.Fatalf("configuration %+v", c)
		}
		for _, r := range c.Filter.Key.FilterRules {
			got := strings.ToLower(string(r.Name)) + "=" + value(r.Value)
			if got != "prefix=media/" && got != "suffix=.jpg" {
				e.Errorf("rule %s", got)
			}
		}
	}},
	{"missing-queue", func(e *env) {
		b := e.bucket()
		arn := e.queue(nil).arn + "-not"
		_, err := e.s3.PutBucketNotificationConfiguration(e.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &b,
			NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{QueueArn: &arn, Events: []types.Event{"s3:ObjectCreated:*"}}}}})
		e.wantError(err, 400, "InvalidArgument")
	}},
	{"prefix", func(e *env) {
		b := e.bucket()
		q := e.notified(b, []types.FilterRule{prefixRule("media/")}, "s3:ObjectCreated:*")
		q.raw(1) // The TestEvent.
		e.put(b, "other/k", body)
		e.put(b, "media", body)
		e.put(b, "media/k", body)
		q.event("ObjectCreated:Put", "media/k")
	}},
	{"suffix", func(e *env) {
		b := e.bucket()
		q := e.notified(b, []types.FilterRule{suffixRule(".jpg")}, "s3:ObjectCreated:*")
		q.raw(1)
		e.put(b, "k.png", body)
		e.put(b, "k.jpg", body)
		q.event("ObjectCreated:Put", "k.jpg")
	}},
	{"event-type", func(e *env) {
		b := e.bucket()
		q := e.notified(b, nil, "s3:ObjectCreated:Copy", "s3:ObjectRemoved:DeleteMarkerCreated")
		q.raw(1)
		e.put(b, "k", body)
		_, err := e.s3.CopyObject(e.Context(), &s3.CopyObjectInput{Bucket: &b, Key: ptr("to"), CopySource: ptr(b + "/k")})
		e.must(err, "copying")
		_, err = e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "deleting")
		q.event("ObjectCreated:Copy", "to")
	}},
	{"failed-uploads-are-silent", func(e *env) {
		b := e.bucket()
		e.put(b, "taken", body)
		q := e.everything(b)
		p := e.presignPut(b, "taken", body)
		e.want(e.send("PUT", p.url, p.header, body), 412, "PreconditionFailed")
		p = e.presignPut(b, "k", body)
		if a := e.send("PUT", p.url, p.header, []byte("HELLO-jpeg-bytes")); a.status != 400 {
			e.Errorf("a checksum mismatch is answered %d", a.status)
		}
		p = e.presignPut(b, "k", body, noChecksum)
		if a := e.send("PUT", p.url, p.header, body[1:]); a.status != 403 {
			e.Errorf("a wrong length is answered %d", a.status)
		}
		q.none(2)
	}},
	{"unfinished-uploads-are-silent", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		u := e.startUpload(b, "k").part(body)
		_, err := e.s3.AbortMultipartUpload(e.Context(), &s3.AbortMultipartUploadInput{Bucket: &b, Key: ptr("k"), UploadId: u.id})
		e.must(err, "aborting")
		q.none(2)
	}},
	{"switched-off", func(e *env) {
		b := e.bucket()
		q := e.everything(b)
		_, err := e.s3.PutBucketNotificationConfiguration(e.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &b, NotificationConfiguration: &types.NotificationConfiguration{}})
		e.must(err, "switching off")
		e.put(b, "k", body)
		q.none(2)
	}},
	{"two-queues", func(e *env) {
		b := e.bucket()
		first, second := e.queue(nil), e.queue(nil)
		e.allow(first, b)
		e.allow(second, b)
		configuration := func(q queue, prefix string) types.QueueConfiguration {
			return types.QueueConfiguration{QueueArn: &q.arn, Events: []types.Event{"s3:ObjectCreated:*"},
				Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{prefixRule(prefix)}}}}
		}
		_, err := e.s3.PutBucketNotificationConfiguration(e.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &b,
			NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{configuration(first, "a/"), configuration(second, "b/")}}})
		e.must(err, "setting the notification")
		first.raw(1)
		second.raw(1)
		e.put(b, "a/k", body)
		e.put(b, "b/k", body)
		first.event("ObjectCreated:Put", "a/k")
		second.event("ObjectCreated:Put", "b/k")
	}},
}
