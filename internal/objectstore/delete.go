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
		targets[i] = target{i, name{key: m.Key}}
	}
	if marked := s.deleteTargets(ctx, targets, errs); len(marked) > 0 {
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
	errs, theirs := make([]error, len(ms)), make([]error, len(reusable))
	side(reusable, theirs, func(o reconcile.Stray) error { // not every store deletes on a condition
		now, found, err := s.Head(ctx, o.Key)
		if err == nil && found && now.ETag != o.ETag {
			err = fmt.Errorf("deleting %s: %w", o.Key, reconcile.ErrChanged)
		}
		return err
	})
	s.removeStrays(ctx, reusable, "", theirs)
	for i, err := range theirs {
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

// name is what S3 knows an object by, or one version of it.
type name struct{ key, version string }

func (n name) String() string {
	if n.version == "" {
		return n.key
	}
	return n.key + " version " + n.version
}

func nameOf(id types.ObjectIdentifier) name {
	return name{aws.ToString(id.Key), aws.ToString(id.VersionId)}
}

// target is one thing to delete.
type target struct {
	media int // its index
	name
}

// deleteTargets deletes in calls of up to maxDelete, and adds to errs what could not be deleted. It returns the media
// of which a delete marker was added instead.
func (s *Store) deleteTargets(ctx context.Context, targets []target, errs []error) (marked []int) {
	for batch := range slices.Chunk(targets, maxDelete) {
		input := make([]types.ObjectIdentifier, len(batch))
		for i := range batch {
			input[i].Key = &batch[i].key
			if batch[i].version != "" {
				input[i].VersionId = &batch[i].version
			}
		}
		each, err := s.deleteObjects(ctx, input)
		for i, t := range batch {
			switch {
			case err != nil:
				errs[t.media] = err
			case errors.Is(each[i], errMarked):
				marked = append(marked, t.media)
			default:
				errs[t.media] = errors.Join(errs[t.media], each[i])
			}
		}
	}
	return marked
}

// errMarked means that an object is still there, below a delete marker.
var errMarked = errors.New("a delete marker was added: the bucket has had its versioning enabled")

// deleteObjects deletes up to [maxDelete] objects in one call and returns what became of each: nil where S3 has confirmed
// that it is gone. The second error is of the call as a whole.
func (s *Store) deleteObjects(ctx context.Context, input []types.ObjectIdentifier) ([]error, error) {
	// Not quiet: a quiet answer names the failures only, so that silence about a key would have to count as success,
	// and it does not tell of a delete marker that was added.
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: input, Quiet: aws.Bool(false)},
	})
	if err != nil {
		return nil, &callError{fmt.Errorf("deleting %d objects: %w", len(input), explain(err, deleteActions))}
	}
	deleted := make(map[name]types.DeletedObject, len(out.Deleted))
	for _, d := range out.Deleted {
		deleted[name{aws.ToString(d.Key), aws.ToString(d.VersionId)}] = d
	}
	failed := make(map[name]types.Error, len(out.Errors))
	for _, e := range out.Errors {
		failed[name{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = e
	}
	errs := make([]error, len(input))
	for i, id := range input {
		n := nameOf(id)
		if e, ok := failed[n]; ok {
			errs[i] = keyError(n, e)
			continue
		}
		d, ok := deleted[n]
		switch {
		case !ok:
			errs[i] = fmt.Errorf("deleting %s: the answer does not mention it", n)
		case n.version == "" && aws.ToBool(d.DeleteMarker):
			errs[i] = s.marked(n)
		}
	}
	return errs, nil
}

// marked takes note that the bucket has had its versioning enabled since it was asked.
func (s *Store) marked(n name) error {
	s.versions.Store(&answer{versioned: true, at: s.now()})
	return fmt.Errorf("deleting %s: %w", n, errMarked)
}

const deleteActions = "s3:DeleteObject and s3:DeleteObjectVersion on the bucket's objects"

// callError is a call that failed as a whole: it says nothing of any one key.
type callError struct{ error }

// Unwrap returns what the call failed of.
func (e *callError) Unwrap() error { return e.error }

// WholeCall tells the sweeper that it is no key's fault.
func (e *callError) WholeCall() bool { return true }

// keyError returns what S3 says of one key, or nil when that is that it is not there.
func keyError(n name, e types.Error) error {
	switch code := aws.ToString(e.Code); code {
	case "NoSuchKey", "NoSuchVersion":
		return nil
	case "PreconditionFailed", "ConditionalRequestConflict":
		return fmt.Errorf("deleting %s: %w", n, reconcile.ErrChanged)
	default:
		return fmt.Errorf("deleting %s: %w", n, &smithy.GenericAPIError{Code: code, Message: aws.ToString(e.Message)})
	}
}
