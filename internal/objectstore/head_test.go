package objectstore_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

// TestHeadFailsClosed: whatever is not S3 saying "not there" must not read as that, since the sweeper deletes on it.
func TestHeadFailsClosed(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*awsemu.Faults){
		"403":       func(f *awsemu.Faults) { f.Fail(awsemu.Match{Operation: "HeadObject"}, 1, 403, "AccessDenied") },
		"500":       func(f *awsemu.Faults) { f.Fail(awsemu.Match{Operation: "HeadObject"}, 1, 500, "InternalError") },
		"503":       func(f *awsemu.Faults) { f.Fail(awsemu.Match{Operation: "HeadObject"}, 1, 503, "SlowDown") },
		"no answer": func(f *awsemu.Faults) { f.CutAnswer(awsemu.Match{Operation: "HeadObject"}, 2) }, // net/http repeats a HEAD once
	} {
		f := newFixture(t)
		breakIt(f.emu.Faults())
		if _, found, err := f.Head(t.Context(), newMedia().Key); err == nil {
			t.Errorf("%s: %t without an error", name, found)
		} else if name == "403" && !strings.Contains(err.Error(), "s3:ListBucket") {
			t.Errorf("the error does not say what to allow: %v", err)
		}
	}
}

// TestHeadInABucketThatIsNotThere: that is a 404 as well, and would expire every upload there is.
func TestHeadInABucketThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	astray := objectstore.New(f.s3, "another", prefix, time.Now)
	if _, found, err := astray.Head(t.Context(), newMedia().Key); err == nil {
		t.Errorf("%t without an error", found)
	}
	if err := astray.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("ping: %v", err)
	}
}

// TestHeadAsksForTheBucketOnce: the second question is not asked for each absent object.
func TestHeadAsksForTheBucketOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 5 {
		if _, found, err := f.Head(t.Context(), newMedia().Key); found || err != nil {
			t.Fatal(found, err)
		}
	}
	if n := f.emu.Counts()["GetObject"]; n != 1 {
		t.Errorf("asked %d times for 5 objects", n)
	}
}

// TestHeadOfAMultipartUpload has a checksum that is not the object's.
func TestHeadOfAMultipartUpload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := newMedia()
	created, err := f.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &m.Key, ContentType: &m.ContentType, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		t.Fatal(err)
	}
	part, err := f.s3.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String(bucket), Key: &m.Key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(content),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.s3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &m.Key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
			Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1), ChecksumSHA256: part.ChecksumSHA256}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o, found, err := f.Head(t.Context(), m.Key)
	if err != nil || !found || o.ChecksumSHA256 != nil || !strings.HasSuffix(o.ETag, "-1") {
		t.Errorf("HEAD tells %+v, %t, %v", o, found, err)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	f.emu.Faults().Fail(awsemu.Match{}, 1, 403, "AccessDenied")
	if err := f.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("when it is forbidden: %v", err)
	}
	f.emu.Faults().Fail(awsemu.Match{}, 1, 503, "SlowDown")
	if err := f.Ping(t.Context()); err == nil {
		t.Error("when S3 is unwell: no error")
	}
}

// TestErrorsHoldNoSignature: what goes wrong is logged, and a signature in a log is a way in.
func TestErrorsHoldNoSignature(t *testing.T) {
	t.Parallel()
	store := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		hijacked, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = hijacked.Close()
		}
	})
	m := newMedia()
	_, _, err := store.Head(t.Context(), m.Key)
	_, err2 := store.Delete(t.Context(), ms(m))
	for _, err := range []error{err, err2, store.Ping(t.Context())} {
		if err == nil || strings.Contains(strings.ToLower(fmt.Sprint(err)), "signature") {
			t.Errorf("the error is %v", err)
		}
	}
}
