package objectstore

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

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
		wg      sync.WaitGroup
		mu      sync.Mutex
		targets []target
		next    = make(chan int)
	)
	for range min(listers, len(indices)) {
		wg.Go(func() {
			for i := range next {
				names, err := s.listVersions(ctx, ms[i].Key)
				mu.Lock()
				if err != nil {
					errs[i] = err
				} else {
					for _, n := range names {
						targets = append(targets, target{media: i, key: n.key, version: n.version})
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, i := range indices {
		next <- i
	}
	close(next)
	wg.Wait()
	s.deleteTargets(ctx, targets, errs)
}

// listVersions returns all versions and delete markers of exactly this key.
func (s *Store) listVersions(ctx context.Context, key string) ([]name, error) {
	var names []name
	pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the versions of %s: %w", key, explain(err, "s3:ListBucketVersions on the bucket"))
		}
		if page.IsTruncated == nil {
			return nil, fmt.Errorf("listing the versions of %s: %w", key, errNoAnswer)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == key {
				names = append(names, name{key, aws.ToString(v.VersionId)})
			}
		}
		for _, d := range page.DeleteMarkers {
			if aws.ToString(d.Key) == key {
				names = append(names, name{key, aws.ToString(d.VersionId)})
			}
		}
	}
	return names, nil
}
