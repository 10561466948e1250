package objectstore_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
)

func ms(m ...*media.Media) []*media.Media { return m }

// mustDelete deletes media without an error of any.
func (f *fixture) mustDelete(t *testing.T, ms []*media.Media) {
	t.Helper()
	errs, err := f.Delete(t.Context(), ms)
	if err := errors.Join(append(errs, err)...); err != nil || len(errs) != len(ms) {
		t.Fatalf("%d answers for %d media: %v", len(errs), len(ms), err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	there, absent, bystander := newMedia(), newMedia(), newMedia()
	f.put(t, there)
	f.put(t, bystander)
	f.mustDelete(t, ms(there, absent))
	f.mustDelete(t, ms(there))
	f.mustDelete(t, nil)
	if _, found, err := f.Head(t.Context(), there.Key); found || err != nil {
		t.Errorf("it is still there: %t, %v", found, err)
	}
	if _, found, err := f.Head(t.Context(), bystander.Key); !found || err != nil {
		t.Errorf("another one went as well: %t, %v", found, err)
	}
}

// TestDeleteInCalls deletes more than one call takes.
func TestDeleteInCalls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	many := make([]*media.Media, 2001)
	for i := range many {
		many[i] = newMedia()
	}
	f.put(t, many[0])
	f.put(t, many[2000])
	f.mustDelete(t, many)
	if n := f.emu.Counts()["DeleteObjects"]; n != 3 {
		t.Errorf("took %d calls", n)
	}
	for _, m := range ms(many[0], many[2000]) {
		if _, found, err := f.Head(t.Context(), m.Key); found || err != nil {
			t.Errorf("it is still there: %t, %v", found, err)
		}
	}
}

// TestDeleteReadsTheErrorOfEachKey: the answer as a whole is a 200.
func TestDeleteReadsTheErrorOfEachKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, versioning := range []types.BucketVersioningStatus{"", "Enabled"} {
		if versioning != "" {
			f.version(t, versioning)
		}
		for code, gone := range map[string]bool{"AccessDenied": false, "InternalError": false, "NoSuchKey": true} {
			good, bad := newMedia(), newMedia()
			f.put(t, good)
			f.put(t, bad)
			f.emu.Faults().FailKeys(bad.Key, awsemu.Forever, code)
			errs, err := f.Delete(t.Context(), ms(bad, good))
			f.emu.Faults().Clear()
			if err != nil || errs[1] != nil || (errs[0] == nil) != gone {
				t.Fatalf("%s: %v, %v", code, errs, err)
			}
			if _, found, err := f.Head(t.Context(), good.Key); found || err != nil {
				t.Errorf("%s: the other one is still there: %t, %v", code, found, err)
			}
			if gone {
				continue
			}
			api, ok := errors.AsType[smithy.APIError](errs[0])
			if !ok || api.ErrorCode() != code || !strings.Contains(errs[0].Error(), bad.Key) {
				t.Errorf("the error is %v", errs[0])
			}
		}
	}
}

// TestDeleteWhenS3IsUnwell: a call that failed has confirmed nothing, even if it was carried out.
func TestDeleteWhenS3IsUnwell(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, breakIt := range []func(*awsemu.Faults){
		func(f *awsemu.Faults) { f.Fail(awsemu.Match{Operation: "DeleteObjects"}, 1, 503, "SlowDown") },
		func(f *awsemu.Faults) { f.Cut(awsemu.Match{Operation: "DeleteObjects"}, 1) },
		func(f *awsemu.Faults) { f.CutAnswer(awsemu.Match{Operation: "DeleteObjects"}, 1) },
	} {
		a, b := newMedia(), newMedia()
		f.put(t, a)
		breakIt(f.emu.Faults())
		errs, err := f.Delete(t.Context(), ms(a, b))
		if err != nil || errs[0] == nil || errs[1] == nil {
			t.Errorf("%v, %v", errs, err)
		}
		f.mustDelete(t, ms(a, b))
	}
}

// TestDeleteLeavesNoVersion: a noncurrent version is paid for like any other, and nobody would look for it again.
func TestDeleteLeavesNoVersion(t *testing.T) {
	t.Parallel()
	for _, status := range []types.BucketVersioningStatus{"Enabled", "Suspended"} {
		f := newFixture(t)
		old, m, absent := newMedia(), newMedia(), newMedia()
		f.put(t, old) // as version "null"
		f.version(t, "Enabled")
		f.put(t, old)
		for range 3 {
			f.put(t, m)
		}
		if status == "Suspended" {
			f.version(t, status)
			f.put(t, m)
		}
		f.hide(t, m) // under a delete marker
		longer := *m
		longer.Key += "0"
		f.put(t, &longer) // has the key as its prefix
		f.mustDelete(t, ms(old, m, absent))
		for _, m := range ms(old, absent) {
			if versions, markers := f.left(t, m.Key); versions+markers != 0 {
				t.Errorf("%s: %d versions and %d markers are left", status, versions, markers)
			}
		}
		if versions, markers := f.left(t, m.Key); versions != 1 || markers != 0 {
			t.Errorf("%s: %d versions and %d markers are left, beside the other key's one", status, versions, markers)
		}
		f.mustDelete(t, ms(m))
	}
}

// TestDeleteOfManyVersions lists more than a page, and deletes more than a call takes, of one key.
func TestDeleteOfManyVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.version(t, "Enabled")
	m := newMedia()
	for range 1001 {
		f.put(t, m)
	}
	f.mustDelete(t, ms(m))
	if versions, markers := f.left(t, m.Key); versions+markers != 0 {
		t.Errorf("%d versions and %d markers are left", versions, markers)
	}
}

// TestDeleteNoticesVersioning: the bucket was asked before its versioning was enabled.
func TestDeleteNoticesVersioning(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mustDelete(t, ms(newMedia()))
	f.version(t, "Enabled")
	m := newMedia()
	f.put(t, m)
	f.put(t, m)
	f.mustDelete(t, ms(m))
	if versions, markers := f.left(t, m.Key); versions+markers != 0 {
		t.Errorf("%d versions and %d markers are left", versions, markers)
	}
	if n := f.emu.Counts()["GetBucketVersioning"]; n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestDeleteSaysWhatIsNotAllowed, and deletes nothing when it cannot tell whether there are versions.
func TestDeleteSaysWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := newMedia()
	f.put(t, m)
	f.emu.Faults().Fail(awsemu.Match{Operation: "GetBucketVersioning"}, 1, 403, "AccessDenied")
	if errs, err := f.Delete(t.Context(), ms(m)); err == nil || !strings.Contains(err.Error(), "s3:GetBucketVersioning") {
		t.Errorf("%v, %v", errs, err)
	}
	if _, found, err := f.Head(t.Context(), m.Key); !found || err != nil {
		t.Errorf("it is gone: %t, %v", found, err)
	}
	f.version(t, "Enabled")
	f.emu.Faults().Fail(awsemu.Match{Operation: "ListObjectVersions"}, 1, 403, "AccessDenied")
	if errs, err := f.Delete(t.Context(), ms(m)); err != nil || errs[0] == nil || !strings.Contains(errs[0].Error(), "s3:ListBucketVersions") {
		t.Errorf("%v, %v", errs, err)
	}
	f.mustDelete(t, ms(m))
}

// TestDeleteTakesSilenceForNo: an answer that leaves a key out says nothing about it.
func TestDeleteTakesSilenceForNo(t *testing.T) {
	t.Parallel()
	a, b := newMedia(), newMedia()
	store := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // this one does not know versions
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		var asked struct {
			Quiet  bool
			Object []struct{ Key string }
		}
		if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Quiet || len(asked.Object) != 2 {
			t.Errorf("asked %+v, %v", asked, err)
		}
		fmt.Fprintf(w, `<DeleteResult><Deleted><Key>%s</Key></Deleted></DeleteResult>`, b.Key)
	})
	errs, err := store.Delete(t.Context(), ms(a, b))
	if err != nil || errs[0] == nil || errs[1] != nil {
		t.Errorf("%v, %v", errs, err)
	}
}

// TestDeleteTakesNoListingForNo: what answers is not S3, or not all of it, and says nothing about versions.
func TestDeleteTakesNoListingForNo(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "<html/>"} {
		store := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("versioning") {
				fmt.Fprint(w, `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
				return
			}
			fmt.Fprint(w, answer)
		})
		if errs, err := store.Delete(t.Context(), ms(newMedia())); err != nil || errs[0] == nil {
			t.Errorf("%q: %v, %v", answer, errs, err)
		}
	}
}

func (f *fixture) hide(t *testing.T, m *media.Media) {
	t.Helper()
	_, err := f.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &m.Key})
	if err != nil {
		t.Fatal(err)
	}
}
