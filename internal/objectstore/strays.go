package objectstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// RemoveStrays implements [reconcile.Objects].
//
// A deletion is conditional on the recorded ETag, so that an object which was replaced in the last moment stays. On a
// bucket with versions those are deleted that are not newer than the recorded one: what is stored meanwhile stays too.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (s *Store) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) []error {
	errs := make([]error, len(strays))
	versioned, err := s.versioned(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	if quarantine != "" {
		side(strays, errs, func(o reconcile.Stray) error { return s.copyTo(ctx, o, quarantine+o.Key) })
	}
	if versioned {
		side(strays, errs, func(o reconcile.Stray) error { return s.removeVersions(ctx, o) })
		return errs
	}
	var input []types.ObjectIdentifier
	at := make(map[string]int, len(strays))
	for i, o := range strays {
		if errs[i] == nil {
			input = append(input, types.ObjectIdentifier{Key: aws.String(o.Key), ETag: aws.String(`"` + o.ETag + `"`)})
			at[o.Key] = i
		}
	}
	s.deleteIdentified(ctx, input, func(id types.ObjectIdentifier, err error) { errs[at[aws.ToString(id.Key)]] = err })
	return errs
}

// side does something for each stray that has no error yet, several at a time.
func side(strays []reconcile.Stray, errs []error, do func(reconcile.Stray) error) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(listers, len(strays)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(strays[i])
			}
		})
	}
	for i := range strays {
		if errs[i] == nil {
			next <- i
		}
	}
	close(next)
	wg.Wait()
}

// copyTo copies a stray as it was recorded.
func (s *Store) copyTo(ctx context.Context, o reconcile.Stray, key string) error {
	source := (&url.URL{Path: s.bucket + "/" + o.Key}).EscapedPath()
	source = strings.ReplaceAll(source, "+", "%2B") // S3 takes it for a space
	if o.VersionID != "" {
		source += "?versionId=" + url.QueryEscape(o.VersionID)
	}
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: &key, CopySource: &source, CopySourceIfMatch: aws.String(`"` + o.ETag + `"`),
	})
	switch status(err) {
	case 0, 200:
		if err == nil {
			return nil
		}
	case 404, 412:
		return fmt.Errorf("copying %s: %w", o.Key, reconcile.ErrChanged)
	}
	return fmt.Errorf("copying %s to %s: %w", o.Key, key, explain(err, "s3:GetObject on it, and s3:PutObject below the quarantine prefix"))
}

// removeVersions deletes all versions of a stray that are not newer than the recorded one, and its delete markers.
func (s *Store) removeVersions(ctx context.Context, o reconcile.Stray) error {
	names, err := s.listVersions(ctx, o.Key)
	if err != nil {
		return err
	}
	var input []types.ObjectIdentifier
	found := false
	for _, n := range names { // newest first
		found = found || n.version == o.VersionID
		if !found {
			return fmt.Errorf("deleting %s: there is a newer version: %w", o.Key, reconcile.ErrChanged)
		}
		input = append(input, types.ObjectIdentifier{Key: aws.String(n.key), VersionId: aws.String(n.version)})
	}
	if !found {
		return fmt.Errorf("deleting %s: its version is gone: %w", o.Key, reconcile.ErrChanged)
	}
	// The recorded version last: as long as it is there the stray is known by it.
	input = append(input[1:], input[0])
	var all []error
	for len(input) > 0 {
		n := min(maxDelete, len(input))
		s.deleteIdentified(ctx, input[:n], func(_ types.ObjectIdentifier, err error) { all = append(all, err) })
		if err := errors.Join(all...); err != nil {
			return err
		}
		input = input[n:]
	}
	return nil
}

// deleteIdentified deletes up to [maxDelete] objects in one call and tells the outcome of each.
func (s *Store) deleteIdentified(ctx context.Context, input []types.ObjectIdentifier, tell func(types.ObjectIdentifier, error)) {
	if len(input) == 0 {
		return
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Objects: input, Quiet: aws.Bool(false)}})
	if err != nil {
		err = fmt.Errorf("deleting %d objects: %w", len(input), explain(err, "s3:DeleteObject and s3:DeleteObjectVersion on the bucket's objects"))
		for _, id := range input {
			tell(id, err)
		}
		return
	}
	deleted := make(map[name]bool, len(out.Deleted))
	marked := false
	for _, d := range out.Deleted {
		n := name{aws.ToString(d.Key), aws.ToString(d.VersionId)}
		deleted[n] = n.version != "" || !aws.ToBool(d.DeleteMarker)
		marked = marked || !deleted[n]
	}
	if marked { // the bucket has had its versioning enabled since it was asked: the objects are still there, below markers
		s.versions.Store(&answer{versioned: true, at: s.now()})
	}
	failed := make(map[name]types.Error, len(out.Errors))
	for _, e := range out.Errors {
		failed[name{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = e
	}
	for _, id := range input {
		n := name{aws.ToString(id.Key), aws.ToString(id.VersionId)}
		t := target{key: n.key, version: n.version}
		e, ok := failed[n]
		switch {
		case ok && (aws.ToString(e.Code) == "PreconditionFailed" || aws.ToString(e.Code) == "ConditionalRequestConflict"):
			tell(id, fmt.Errorf("deleting %s: %w", t, reconcile.ErrChanged))
		case ok:
			tell(id, keyError(t, e))
		case !deleted[n]:
			tell(id, fmt.Errorf("deleting %s: the answer does not say that it is gone", t))
		default:
			tell(id, nil)
		}
	}
}
