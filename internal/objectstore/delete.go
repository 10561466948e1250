package objectstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// maxDelete is how many keys or versions one DeleteObjects call takes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
const maxDelete = 1000

// Delete deletes the media's objects with all their versions and delete markers, and returns one error for each
// media, nil where S3 has confirmed that nothing is left of it. What is gone already is a success. The second error is
// of what came before: nothing was deleted then.
//
// An error of one key is an [smithy.APIError], as is that of a whole call that S3 has refused.
//
// Under a key that was not minted others may have stored another object meanwhile, which is left.
func (s *Store) Delete(ctx context.Context, ms []*media.Media) ([]error, error) {
	versioned, err := s.versioned(ctx)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(ms))
	if slices.ContainsFunc(ms, (*media.Media).Reusable) {
		return s.deleteBoth(ctx, ms)
	}
	if versioned {
		s.deleteVersions(ctx, ms, errs, all(ms))
		return errs, nil
	}
	targets := make([]target, len(ms))
	for i, m := range ms {
		targets[i] = target{media: i, key: m.Key}
	}
	marked := s.deleteTargets(ctx, targets, errs)
	if len(marked) > 0 {
		// A delete marker was added: the bucket has had its versioning enabled since it was asked.
		s.versions.Store(&answer{versioned: true, at: s.now()})
		s.deleteVersions(ctx, ms, errs, marked)
	}
	return errs, nil
}

// deleteBoth deletes media of which some have keys that others may have used again.
func (s *Store) deleteBoth(ctx context.Context, ms []*media.Media) ([]error, error) {
	var (
		minted           []*media.Media
		reusable         []reconcile.Stray
		atMinted, atElse []int
	)
	for i, m := range ms {
		if m.Reusable() {
			reusable, atElse = append(reusable, reconcile.Stray{Key: m.Key, ETag: m.ETag, VersionID: m.VersionID}), append(atElse, i)
			continue
		}
		minted, atMinted = append(minted, m), append(atMinted, i)
	}
	errs := make([]error, len(ms))
	for i, err := range s.RemoveStrays(ctx, reusable, "") {
		if !errors.Is(err, reconcile.ErrChanged) { // else its object is gone, and there may be another
			errs[atElse[i]] = err
		}
	}
	if len(minted) == 0 {
		return errs, nil
	}
	others, err := s.Delete(ctx, minted)
	for i, err := range others {
		errs[atMinted[i]] = err
	}
	if err != nil {
		for _, i := range atMinted {
			errs[i] = err
		}
	}
	return errs, nil
}

func all(ms []*media.Media) []int {
	indices := make([]int, len(ms))
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// target is one thing to delete: a key, or one version of it.
type target struct {
	media        int // its index
	key, version string
}

// deleteTargets deletes in calls of up to maxDelete, and adds to errs what could not be deleted. It returns the media
// of which a delete marker was added instead.
func (s *Store) deleteTargets(ctx context.Context, targets []target, errs []error) (marked []int) {
	for len(targets) > 0 {
		n := min(len(targets), maxDelete)
		marked = append(marked, s.deleteBatch(ctx, targets[:n], errs)...)
		targets = targets[n:]
	}
	return marked
}

type name struct{ key, version string }

func (s *Store) deleteBatch(ctx context.Context, targets []target, errs []error) (marked []int) {
	input := make([]types.ObjectIdentifier, len(targets))
	for i := range targets {
		input[i].Key = &targets[i].key
		if targets[i].version != "" {
			input[i].VersionId = &targets[i].version
		}
	}
	// Not quiet: a quiet answer names the failures only, so that silence about a key would have to count as success,
	// and it does not tell of a delete marker that was added.
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: input, Quiet: aws.Bool(false)},
	})
	if err != nil {
		err = &callError{fmt.Errorf("deleting %d objects: %w", len(targets), explain(err, "s3:DeleteObject and s3:DeleteObjectVersion on the bucket's objects"))}
		for _, t := range targets {
			errs[t.media] = err
		}
		return nil
	}
	deleted := make(map[name]types.DeletedObject, len(out.Deleted))
	for _, d := range out.Deleted {
		deleted[name{aws.ToString(d.Key), aws.ToString(d.VersionId)}] = d
	}
	failed := make(map[name]types.Error, len(out.Errors))
	for _, e := range out.Errors {
		failed[name{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = e
	}
	for _, t := range targets {
		n := name{t.key, t.version}
		if e, ok := failed[n]; ok {
			errs[t.media] = errors.Join(errs[t.media], keyError(t, e))
			continue
		}
		d, ok := deleted[n]
		switch {
		case !ok:
			errs[t.media] = errors.Join(errs[t.media], fmt.Errorf("deleting %s: the answer does not mention it", t))
		case t.version == "" && aws.ToBool(d.DeleteMarker):
			marked = append(marked, t.media)
		}
	}
	return marked
}

// callError is a call that failed as a whole: it says nothing of any one key.
type callError struct{ error }

// Unwrap returns what the call failed of.
func (e *callError) Unwrap() error { return e.error }

// WholeCall tells the sweeper that it is no key's fault.
func (e *callError) WholeCall() bool { return true }

// keyError returns what S3 says of one key, or nil when that is that it is not there.
func keyError(t target, e types.Error) error {
	code := aws.ToString(e.Code)
	if code == "NoSuchKey" || code == "NoSuchVersion" {
		return nil
	}
	return fmt.Errorf("deleting %s: %w", t, &smithy.GenericAPIError{Code: code, Message: aws.ToString(e.Message)})
}

func (t target) String() string {
	if t.version == "" {
		return t.key
	}
	return t.key + " version " + t.version
}
