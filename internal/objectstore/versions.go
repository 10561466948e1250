package objectstore

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/media"
)

// answer is whether the bucket may hold versions, and when that was asked.
type answer struct {
	versioned bool
	at        time.Time
}

const (
	// askVersioningAgain is how long an answer counts. Versioning that is enabled meanwhile is noticed at the first
	// deletion, so this is for buckets that are deleted and made anew.
	askVersioningAgain = time.Hour
	// listers is how many media's versions are listed at a time.
	listers = 16
)

// versioned reports whether the bucket may hold versions: that its versioning is enabled, or was once.
func (s *Store) versioned(ctx context.Context) (bool, error) {
	now := s.now()
	if known := s.versions.Load(); known != nil && now.Sub(known.at) < askVersioningAgain {
		return known.versioned, nil
	}
	out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.bucket})
	switch code := status(err); {
	case code == http.StatusNotImplemented || code == http.StatusMethodNotAllowed:
		// Some stores have no versions and do not know the question.
		s.versions.Store(&answer{at: now})
		return false, nil
	case err != nil:
		// To assume that there are none would leave noncurrent versions behind, to be paid for and never found.
		return false, fmt.Errorf("asking whether bucket %q has versions: %w", s.bucket, explain(err, "s3:GetBucketVersioning on the bucket"))
	}
	s.versions.Store(&answer{versioned: out.Status != "", at: now})
	return out.Status != "", nil
}

// deleteVersions deletes every version and delete marker of the media with the given indices, and adds to errs.
func (s *Store) deleteVersions(ctx context.Context, ms []*media.Media, errs []error, indices []int) {
	var (
		group   errgroup.Group
		mu      sync.Mutex
		targets []target
	)
	group.SetLimit(listers)
	for _, i := range indices {
		group.Go(func() error {
			names, err := s.listVersions(ctx, ms[i].Key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[i] = err
			}
			for _, n := range names {
				targets = append(targets, target{i, n.name})
			}
			return nil
		})
	}
	_ = group.Wait()
	s.deleteTargets(ctx, targets, errs)
}

// keyVersion is a version of a key, or a delete marker.
type keyVersion struct {
	name
	etag     string // without quotes; empty for a delete marker
	modified time.Time
	latest   bool
}

// listVersions returns all versions and then all delete markers of exactly this key, each the newest first, page by page.
// It does not go on to the keys that begin with this one, which may be many.
func (s *Store) listVersions(ctx context.Context, key string) ([]keyVersion, error) {
	var all []keyVersion
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key, EncodingType: types.EncodingTypeUrl}
	for {
		out, err := s.client.ListObjectVersions(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing the versions of %s: %w", key, explain(err, "s3:ListBucketVersions on the bucket"))
		}
		if out.IsTruncated == nil {
			return nil, fmt.Errorf("listing the versions of %s: %w", key, errNoAnswer)
		}
		for _, v := range out.Versions {
			if k, err := decodeKey(aws.ToString(v.Key), out.EncodingType); err != nil {
				return nil, err
			} else if k == key {
				all = append(all, keyVersion{name{key, aws.ToString(v.VersionId)}, strings.Trim(aws.ToString(v.ETag), `"`), aws.ToTime(v.LastModified), aws.ToBool(v.IsLatest)})
			}
		}
		for _, d := range out.DeleteMarkers {
			if k, err := decodeKey(aws.ToString(d.Key), out.EncodingType); err != nil {
				return nil, err
			} else if k == key {
				all = append(all, keyVersion{name: name{key, aws.ToString(d.VersionId)}})
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return all, nil
		}
		next, err := decodeKey(aws.ToString(out.NextKeyMarker), out.EncodingType)
		if err != nil {
			return nil, err
		}
		if next == "" {
			return nil, fmt.Errorf("listing the versions of %s: the answer says that there is more, and not where", key)
		}
		if next != key { // which is the first of those that begin with it
			return all, nil
		}
		in.KeyMarker, in.VersionIdMarker = &next, out.NextVersionIdMarker
	}
}
