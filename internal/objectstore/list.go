package objectstore

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"

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
		p, err := s.objectPage(ctx, in)
		if err != nil {
			yield(nil, fmt.Errorf("listing %q: %w", r.Prefix, explain(err, listActions)))
			return
		}
		for i := range p.objects {
			if past(r, p.objects[i].Key) {
				yield(p.objects[:i], nil)
				return
			}
		}
		if !yield(p.objects, nil) || !p.truncated {
			return
		}
		if p.next == "" {
			yield(nil, fmt.Errorf("listing %q: the answer says that there is more, and not where", r.Prefix))
			return
		}
		in.ContinuationToken = &p.next
	}
}

func past(r reconcile.Range, key string) bool { return r.Until != "" && key > r.Until }

// listAllVersions makes one of all versions of a key, which may be spread over pages.
func (s *Store) listAllVersions(ctx context.Context, r reconcile.Range, yield func([]reconcile.Listed, error) bool) {
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &r.Prefix, EncodingType: types.EncodingTypeUrl}
	if r.After != "" {
		in.KeyMarker = &r.After
	}
	var open []reconcile.Listed // the last key of the page before, which may go on
	for {
		p, err := s.versionPage(ctx, in)
		if err != nil {
			yield(nil, fmt.Errorf("listing the versions of %q: %w", r.Prefix, explain(err, listActions)))
			return
		}
		keys := merge(open, p)
		for i := range keys {
			if past(r, keys[i].Key) {
				yield(keys[:i], nil)
				return
			}
		}
		if !p.truncated {
			yield(keys, nil)
			return
		}
		if p.next == "" {
			yield(nil, fmt.Errorf("listing the versions of %q: the answer says that there is more, and not where", r.Prefix))
			return
		}
		in.KeyMarker, in.VersionIdMarker = &p.next, nil
		if p.nextVersion != "" {
			in.VersionIdMarker = &p.nextVersion
		}
		open = nil
		if n := len(keys); n > 0 {
			open, keys = append(open, keys[n-1]), keys[:n-1]
		}
		if !yield(keys, nil) {
			return
		}
	}
}

// merge gathers a page's versions and delete markers, which it has apart, by key. keys are those that there are already,
// of which the last may go on.
func merge(keys []reconcile.Listed, p *page) []reconcile.Listed {
	keys = slices.Grow(keys, len(p.versions))
	// of returns the entry of a key, which is the last one or comes after it.
	of := func(key string) *reconcile.Listed {
		if n := len(keys); n == 0 || keys[n-1].Key != key {
			keys = append(keys, reconcile.Listed{Key: key, NoObject: true})
		}
		return &keys[len(keys)-1]
	}
	versions, markers := p.versions, p.markers
	for len(versions)+len(markers) > 0 {
		// Both are in the order of keys, so the lesser of their first keys is next.
		if len(versions) == 0 || len(markers) > 0 && markers[0] <= versions[0].Key {
			of(markers[0]).DeleteMarkers++
			markers = markers[1:]
			continue
		}
		v := &versions[0]
		versions = versions[1:]
		l := of(v.Key)
		if v.latest {
			l.NoObject, l.SizeBytes, l.ETag = false, v.SizeBytes, v.ETag
			l.VersionID, l.LastModified = v.VersionID, v.LastModified
		} else {
			l.Noncurrent = append(l.Noncurrent, v.VersionID)
			l.NoncurrentBytes += v.SizeBytes
		}
	}
	return keys
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
		// Not by the SDK's paginator, which gives a marker back as it came: encoded.
		in := &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl}
		for {
			out, err := s.client.ListMultipartUploads(ctx, in)
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
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			next := decodeMarker(aws.ToString(out.NextKeyMarker), out.EncodingType)
			if next == "" {
				yield(reconcile.Upload{}, fmt.Errorf("listing the unfinished uploads of %q: the answer says that there is more, and not where", prefix))
				return
			}
			in.KeyMarker, in.UploadIdMarker = &next, out.NextUploadIdMarker
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
