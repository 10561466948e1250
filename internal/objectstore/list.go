package objectstore

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

const listActions = "s3:ListBucket, s3:ListBucketVersions and s3:ListBucketMultipartUploads on the bucket"

// List implements [reconcile.Source]. A bucket that may hold versions is listed with all of them. Keys come URL-encoded,
// since XML cannot hold every character that a key may have.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (s *Store) List(ctx context.Context, r reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		versioned, err := s.versioned(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		if versioned {
			s.listAllVersions(ctx, r, yield)
			return
		}
		s.listObjects(ctx, r, yield)
	}
}

func (s *Store) listObjects(ctx context.Context, r reconcile.Range, yield func([]reconcile.Listed, error) bool) {
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &r.Prefix, EncodingType: types.EncodingTypeUrl}
	if r.After != "" {
		in.StartAfter = &r.After
	}
	for {
		out, err := s.client.ListObjectsV2(ctx, in)
		if err != nil {
			yield(nil, fmt.Errorf("listing %q: %w", r.Prefix, explain(err, listActions)))
			return
		}
		page := make([]reconcile.Listed, 0, len(out.Contents))
		for i := range out.Contents {
			o := &out.Contents[i]
			key, err := decodeKey(aws.ToString(o.Key), out.EncodingType)
			if err != nil {
				yield(nil, err)
				return
			}
			if past(r, key) {
				yield(page, nil)
				return
			}
			page = append(page, reconcile.Listed{
				Key: key, SizeBytes: aws.ToInt64(o.Size), ETag: strings.Trim(aws.ToString(o.ETag), `"`), LastModified: aws.ToTime(o.LastModified),
			})
		}
		if !yield(page, nil) {
			return
		}
		if !aws.ToBool(out.IsTruncated) {
			return
		}
		if in.ContinuationToken = out.NextContinuationToken; aws.ToString(in.ContinuationToken) == "" {
			yield(nil, fmt.Errorf("listing %q: the answer says that there is more, and not where", r.Prefix))
			return
		}
	}
}

func past(r reconcile.Range, key string) bool { return r.Until != "" && key > r.Until }

// decodeKey undoes the encoding that was asked for, when the store did as asked.
func decodeKey(key string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl || strings.IndexByte(key, '%') < 0 && strings.IndexByte(key, '+') < 0 {
		return key, nil
	}
	decoded, err := url.QueryUnescape(key)
	if err != nil {
		return "", fmt.Errorf("listing: key %q is not URL-encoded: %w", key, err)
	}
	return decoded, nil
}

// listAllVersions makes one of all versions of a key, which may be spread over pages.
func (s *Store) listAllVersions(ctx context.Context, r reconcile.Range, yield func([]reconcile.Listed, error) bool) {
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &r.Prefix, EncodingType: types.EncodingTypeUrl}
	if r.After != "" {
		in.KeyMarker = &r.After
	}
	var open []reconcile.Listed // the last key of the page before, which may go on
	for {
		out, err := s.client.ListObjectVersions(ctx, in)
		if err != nil {
			yield(nil, fmt.Errorf("listing the versions of %q: %w", r.Prefix, explain(err, listActions)))
			return
		}
		keys := &versionMerge{keys: open, encoding: out.EncodingType}
		if err := keys.add(out); err != nil {
			yield(nil, err)
			return
		}
		page := keys.keys
		for i := range page {
			if past(r, page[i].Key) {
				yield(page[:i], nil)
				return
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			yield(page, nil)
			return
		}
		if in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker; aws.ToString(in.KeyMarker) == "" {
			yield(nil, fmt.Errorf("listing the versions of %q: the answer says that there is more, and not where", r.Prefix))
			return
		}
		if marker, err := decodeKey(*in.KeyMarker, out.EncodingType); err == nil {
			in.KeyMarker = &marker
		}
		open = nil
		if n := len(page); n > 0 {
			open, page = append(open, page[n-1]), page[:n-1]
		}
		if !yield(page, nil) {
			return
		}
	}
}

// versionMerge gathers versions and delete markers, which an answer lists apart, by key.
type versionMerge struct {
	keys     []reconcile.Listed
	encoding types.EncodingType
}

func (m *versionMerge) add(out *s3.ListObjectVersionsOutput) error {
	versions, markers := out.Versions, out.DeleteMarkers
	for len(versions)+len(markers) > 0 {
		// Both are in the order of keys, so the lesser of their first keys is next.
		if len(markers) == 0 || len(versions) > 0 && encodedLess(aws.ToString(versions[0].Key), aws.ToString(markers[0].Key), m.encoding) {
			v := &versions[0]
			versions = versions[1:]
			l, err := m.of(aws.ToString(v.Key))
			if err != nil {
				return err
			}
			if aws.ToBool(v.IsLatest) {
				l.NoObject, l.SizeBytes, l.ETag = false, aws.ToInt64(v.Size), strings.Trim(aws.ToString(v.ETag), `"`)
				l.VersionID, l.LastModified = aws.ToString(v.VersionId), aws.ToTime(v.LastModified)
			} else {
				l.Noncurrent = append(l.Noncurrent, aws.ToString(v.VersionId))
				l.NoncurrentBytes += aws.ToInt64(v.Size)
			}
			continue
		}
		l, err := m.of(aws.ToString(markers[0].Key))
		if err != nil {
			return err
		}
		l.DeleteMarkers++
		markers = markers[1:]
	}
	return nil
}

func encodedLess(a, b string, encoding types.EncodingType) bool {
	plainA, errA := decodeKey(a, encoding)
	plainB, errB := decodeKey(b, encoding)
	if errA != nil || errB != nil {
		return a < b
	}
	return plainA < plainB
}

// of returns the entry of a key, which is the last one or comes after it.
func (m *versionMerge) of(encoded string) (*reconcile.Listed, error) {
	key, err := decodeKey(encoded, m.encoding)
	if err != nil {
		return nil, err
	}
	if n := len(m.keys); n == 0 || m.keys[n-1].Key != key {
		m.keys = append(m.keys, reconcile.Listed{Key: key, NoObject: true})
	}
	return &m.keys[len(m.keys)-1], nil
}

// Folders implements [reconcile.Objects].
func (s *Store) Folders(ctx context.Context, prefix string, limit int) ([]string, error) {
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix, Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl}
	out, err := s.client.ListObjectsV2(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", prefix, explain(err, listActions))
	}
	var folders []string
	for _, p := range out.CommonPrefixes {
		if len(folders) == limit {
			break
		}
		folder, err := decodeKey(aws.ToString(p.Prefix), out.EncodingType)
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

// Uploads implements [reconcile.Objects].
func (s *Store) Uploads(ctx context.Context, prefix string) iter.Seq2[reconcile.Upload, error] {
	return func(yield func(reconcile.Upload, error) bool) {
		pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{
			Bucket: &s.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl,
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if code := status(err); code == http.StatusNotImplemented || code == http.StatusMethodNotAllowed {
				return // some stores do not know the question
			}
			if err != nil {
				yield(reconcile.Upload{}, fmt.Errorf("listing the unfinished uploads of %q: %w", prefix, explain(err, listActions)))
				return
			}
			for _, u := range out.Uploads {
				key, err := decodeKey(aws.ToString(u.Key), out.EncodingType)
				if !yield(reconcile.Upload{Key: key, ID: aws.ToString(u.UploadId), StartedAt: aws.ToTime(u.Initiated)}, err) || err != nil {
					return
				}
			}
		}
	}
}

// AbortUpload implements [reconcile.Objects]. One that is gone is a success.
func (s *Store) AbortUpload(ctx context.Context, u reconcile.Upload) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: &u.Key, UploadId: &u.ID})
	if err != nil && status(err) != 404 {
		return fmt.Errorf("aborting the upload of %s: %w", u.Key, explain(err, "s3:AbortMultipartUpload on the bucket's objects"))
	}
	return nil
}
