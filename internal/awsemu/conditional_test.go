package awsemu_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// TestWriteOnce lets many writers race for one key: exactly one wins, and the object is the winner's.
func TestWriteOnce(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		e := start(t, awsemu.Config{Dir: dir})
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := ""
		for i := range 20 {
			wg.Go(func() {
				body := strings.Repeat(string(rune('a'+i)), 1000)
				_, err := e.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: aws.String("k"), Body: strings.NewReader(body), IfNoneMatch: aws.String("*")})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && won == "":
					won = body
				case err == nil:
					t.Error("two writers won")
				case code(err) != "PreconditionFailed":
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if e.get("k") != won {
			t.Error("the object is not the winner's")
		}
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	put := func(key, etag string) error {
		_, err := e.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: &key, Body: strings.NewReader("new"), IfMatch: &etag})
		return err
	}
	etag := *e.put("k", "old").ETag
	e.wantCode(put("absent", etag), "NoSuchKey")
	e.wantCode(put("k", `"00"`), "PreconditionFailed")
	e.ok(put("k", etag))
	e.wantCode(put("k", etag), "PreconditionFailed")
}

// TestDeleteCrossesConditionalWrite deletes what a conditional write began against, while its body is on its way.
func TestDeleteCrossesConditionalWrite(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	etag := *e.put("k", "old").ETag
	p, err := e.presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &e.bucket, Key: aws.String("k"), ContentLength: aws.Int64(3), IfMatch: &etag})
	e.ok(err)
	c := e.dial()
	c.head("PUT", p.URL, p.SignedHeader, 3)
	eventually(t, "the PUT has begun", func() bool { return e.emu.Counts()["PutObject"] == 2 })
	time.Sleep(20 * time.Millisecond) // counted before the condition is first checked
	_, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("k")})
	e.ok(err)
	c.write("new")
	if status, _ := c.answer(); status != 409 {
		t.Errorf("answered %d, want 409", status)
	}
	if e.exists("k") {
		t.Error("the write brought the object back")
	}
}

// TestIncompleteBody breaks off in the middle of a PUT.
func TestIncompleteBody(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		e := start(t, awsemu.Config{Dir: dir})
		_, arn := e.queue("q", nil)
		url, _ := e.queue("q", nil)
		e.notify(arn, nil)
		e.drain(url, 1)
		for range 5 {
			p := e.upload("broken", "0123456789", time.Minute)
			c := e.dial()
			c.head("PUT", p.URL, p.SignedHeader, 10)
			c.write("01234")
			e.ok(c.conn.Close())
		}
		p := e.upload("slow", "0123456789", time.Minute)
		c := e.dial()
		c.head("PUT", p.URL, p.SignedHeader, 10)
		c.write("01234")
		eventually(t, "the PUTs have begun", func() bool { return e.emu.Counts()["PutObject"] == 6 })
		if e.exists("slow") {
			t.Error("half an object is visible")
		}
		c.write("56789")
		if status, _ := c.answer(); status != 200 {
			t.Errorf("answered %d", status)
		}
		if got := e.get("slow"); got != "0123456789" {
			t.Errorf("stored %q", got)
		}
		if e.exists("broken") {
			t.Error("a broken PUT was stored")
		}
		if got := e.drain(url, 2); len(got) != 1 {
			t.Errorf("%d notifications, want 1", len(got))
		}
	}
}

func TestConditionalRead(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	etag := e.put("k", "0123456789").ETag
	get := func(change func(in *s3.GetObjectInput)) string {
		in := &s3.GetObjectInput{Bucket: &e.bucket, Key: aws.String("k")}
		change(in)
		out, err := e.s3.GetObject(t.Context(), in)
		if err != nil {
			return code(err)
		}
		out.Body.Close()
		return aws.ToString(out.ContentRange)
	}
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		change func(in *s3.GetObjectInput)
		want   string
	}{
		"match":            {func(in *s3.GetObjectInput) { in.IfMatch = etag }, ""},
		"no match":         {func(in *s3.GetObjectInput) { in.IfMatch = aws.String(`"x"`) }, "PreconditionFailed"},
		"none match":       {func(in *s3.GetObjectInput) { in.IfNoneMatch = etag }, "NotModified"},
		"modified":         {func(in *s3.GetObjectInput) { in.IfModifiedSince = &past }, ""},
		"not modified":     {func(in *s3.GetObjectInput) { in.IfModifiedSince = &future }, "NotModified"},
		"unmodified":       {func(in *s3.GetObjectInput) { in.IfUnmodifiedSince = &past }, "PreconditionFailed"},
		"range":            {func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=2-4") }, "bytes 2-4/10"},
		"open range":       {func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=7-") }, "bytes 7-9/10"},
		"suffix":           {func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=-3") }, "bytes 7-9/10"},
		"range too far":    {func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=10-") }, "InvalidRange"},
		"range inside out": {func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=5-4") }, ""},
	} {
		if got := get(c.change); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	_, err := e.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: aws.String("none")})
	var none interface{ ErrorCode() string }
	if !errors.As(err, &none) || none.ErrorCode() != "NoSuchKey" {
		t.Errorf("a key that is not there: %v", err)
	}
}
