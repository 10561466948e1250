package main

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// inventory makes a report of the bucket as it is, as S3 would, with the scan's beginning at a time.
func (s *site) inventory(at time.Time, extra ...[]string) (manifest string) {
	s.t.Helper()
	versioning, err := s.s3.GetBucketVersioning(s.t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String("uploads")})
	if err != nil {
		s.t.Fatal(err)
	}
	schema := "Bucket, Key, Size, LastModifiedDate, ETag"
	if versioning.Status != "" {
		schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
	}
	out, err := s.s3.ListObjectVersions(s.t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("uploads")})
	if err != nil {
		s.t.Fatal(err)
	}
	var data bytes.Buffer
	zip := gzip.NewWriter(&data)
	rows := csv.NewWriter(zip)
	for i := len(out.Versions) - 1; i >= 0; i-- { // in no order that helps
		v := out.Versions[i]
		row := []string{"uploads", url.QueryEscape(aws.ToString(v.Key))}
		if versioning.Status != "" {
			row = append(row, aws.ToString(v.VersionId), strconv.FormatBool(aws.ToBool(v.IsLatest)), "false")
		}
		_ = rows.Write(append(row, strconv.FormatInt(aws.ToInt64(v.Size), 10), v.LastModified.UTC().Format("2006-01-02T15:04:05.000Z"), strings.Trim(aws.ToString(v.ETag), `"`)))
	}
	for _, row := range extra {
		_ = rows.Write(row)
	}
	rows.Flush()
	if err := zip.Close(); err != nil {
		s.t.Fatal(err)
	}
	sum := func(b []byte) string {
		h := md5.Sum(b)
		return hex.EncodeToString(h[:])
	}
	name := fmt.Sprintf("inv/%d", time.Now().UnixNano())
	s.put("reports", name+"/data.csv.gz", data.String())
	text := fmt.Sprintf(`{"sourceBucket":"uploads","destinationBucket":"arn:aws:s3:::reports","version":"2016-11-30","creationTimestamp":"%d",
		"fileFormat":"CSV","fileSchema":%q,"files":[{"key":%q,"size":%d,"MD5checksum":%q}]}`,
		at.UnixMilli(), schema, name+"/data.csv.gz", data.Len(), sum(data.Bytes()))
	s.put("reports", name+"/manifest.json", text)
	s.put("reports", name+"/manifest.checksum", sum([]byte(text)))
	return "s3://reports/" + name + "/manifest.json"
}

// confirmed makes CONFIRMED media with their objects.
func (s *site) confirmed(n int) []*media.Media {
	s.t.Helper()
	ms := make([]*media.Media, n)
	for i := range ms {
		id := uuid.Must(uuid.NewV7())
		ms[i] = &media.Media{ID: id, Tenant: "acme", Owner: "alice", Key: s.keys.Key(id), ContentType: "binary/octet-stream", SizeBytes: 4, URLExpiresAt: time.Now()}
	}
	if _, err := s.store.Create(s.t.Context(), ms); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range ms {
		out, err := s.s3.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: aws.String("uploads"), Key: &m.Key, Body: strings.NewReader("coat"), ContentType: &m.ContentType})
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.store.Land(s.t.Context(), media.SourceNotification, []media.Landing{{
			MediaID: m.ID, SizeBytes: 4, ETag: strings.Trim(aws.ToString(out.ETag), `"`), VersionID: aws.ToString(out.VersionId),
		}}); err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.store.Confirm(s.t.Context(), media.Scope{Tenant: "acme"}, []media.Claim{{MediaID: m.ID, Claim: "post/1"}}); err != nil {
			s.t.Fatal(err)
		}
	}
	return ms
}

func (s *site) remove(key string) {
	s.t.Helper()
	if _, err := s.s3.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("uploads"), Key: &key}); err != nil {
		s.t.Fatal(err)
	}
}

// TestReconcileFromInventory: a report says what a listing would, but for what is newer than it; and what it says is asked
// of S3 again before it is believed.
func TestReconcileFromInventory(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%t", versioned), func(t *testing.T) {
			s := newSite(t)
			if versioned {
				if _, err := s.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String("uploads"),
					VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
					t.Fatal(err)
				}
			}
			before := s.confirmed(20)
			missing, stray, gone := before[0], s.key(), s.key()
			s.put("uploads", stray, "orphan")
			s.put("uploads", gone, "deleted since")
			s.put("uploads", "media/odd key+é", "foreign")
			s.put("uploads", "elsewhere/x", "")
			s.remove(missing.Key)
			if versioned { // which leaves the version
				s.removeVersions(missing.Key)
			}
			time.Sleep(20 * time.Millisecond)
			scan := time.Now()
			time.Sleep(20 * time.Millisecond)
			manifest := s.inventory(scan)
			after := s.confirmed(5) // which the report cannot know
			s.remove(after[0].Key)  // and of which it cannot say that they are missing
			s.removeVersions(gone)
			removedLater := before[1] // which the report says is there
			s.removeVersions(removedLater.Key)

			out := s.says([]string{"--from-inventory", manifest}, "explained 19", "strays 1", "foreign 1", "missing 1", "changed 1", "dry run")
			if !strings.Contains(out, missing.Key) || strings.Contains(out, after[0].Key) || strings.Contains(out, gone) || strings.Contains(out, removedLater.Key) {
				t.Errorf("the report is\n%s", out)
			}
			// A listing knows better, and what a later inventory does not know it does not forget.
			s.says([]string{"--no-dry-run"}, "explained 22", "strays 1")
			s.says([]string{"--from-inventory", manifest, "--no-dry-run"}, "explained 19", "missing 1")
			found, err := s.store.Missing(t.Context(), uuid.UUID{}, uuid.UUID{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			want := 3
			if versioned {
				want = 2 // after[0] is hidden by a delete marker
			}
			if len(found) != want {
				t.Errorf("%d are missing, want %d", len(found), want)
			}
		})
	}
}

func (s *site) removeVersions(key string) {
	s.t.Helper()
	out, err := s.s3.ListObjectVersions(s.t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("uploads"), Prefix: &key})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, v := range out.Versions {
		if _, err := s.s3.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("uploads"), Key: &key, VersionId: v.VersionId}); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, v := range out.DeleteMarkers {
		if _, err := s.s3.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("uploads"), Key: &key, VersionId: v.VersionId}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestRefusedInventories: nothing is begun with a report that is not whole, or not of this bucket.
func TestRefusedInventories(t *testing.T) {
	s := newSite(t)
	s.put("uploads", s.key(), "orphan")
	if _, log, status := s.reconcile("--from-inventory", s.inventory(time.Now()), "--bucket", "reports"); status == 0 || !strings.Contains(log, `the report is of bucket "uploads"`) {
		t.Errorf("a report of another bucket: status %d, %s", status, log)
	}
	manifest := s.inventory(time.Now(), []string{"another", "media/x", "1", "2026-01-01T00:00:00.000Z", "e"})
	if _, log, status := s.reconcile("--from-inventory", manifest); status == 0 || !strings.Contains(log, "another") {
		t.Errorf("a report with another bucket's objects: status %d, %s", status, log)
	}
	manifest = s.inventory(time.Now())
	s.put("reports", strings.TrimSuffix(strings.TrimPrefix(manifest, "s3://reports/"), "json")+"checksum", strings.Repeat("0", 32))
	if _, log, status := s.reconcile("--from-inventory", manifest); status == 0 || !strings.Contains(log, "checksum") {
		t.Errorf("a report with a wrong checksum: status %d, %s", status, log)
	}
	if out, _, _ := s.reconcile("--abandon"); !strings.Contains(out, "no reconciliation is under way") {
		t.Errorf("a refused report has begun a run: %s", out)
	}
}
