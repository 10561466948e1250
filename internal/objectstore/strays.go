package objectstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// RemoveStrays implements [reconcile.Objects].
//
// A deletion is conditional on the recorded ETag, so that an object which was replaced in the last moment stays. On a
// bucket with versions those are deleted that are not newer than the recorded one: what is stored meanwhile stays too.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
func (s *Store) RemoveStrays(ctx context.Context, strays []reconcile.Stray, quarantine string) []error {
	errs := make([]error, len(strays))
	s.removeStrays(ctx, strays, quarantine, errs)
	return errs
}

// removeStrays does it with those that have no error yet.
func (s *Store) removeStrays(ctx context.Context, strays []reconcile.Stray, quarantine string, errs []error) {
	versioned, err := s.versioned(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return
	}
	if quarantine != "" {
		side(strays, errs, func(o reconcile.Stray) error {
			if err := s.copyTo(ctx, o, o.Quarantined(quarantine)); err != nil || versioned {
				return err
			}
			return s.same(ctx, o)
		})
	}
	if versioned {
		side(strays, errs, func(o reconcile.Stray) error { return s.removeVersions(ctx, o) })
		return
	}
	var input []types.ObjectIdentifier
	at := make(map[string]int, len(strays))
	for i, o := range strays {
		if errs[i] == nil {
			input = append(input, types.ObjectIdentifier{Key: aws.String(o.Key), ETag: aws.String(`"` + o.ETag + `"`)})
			at[o.Key] = i
		}
	}
	s.deleteIdentified(ctx, input, func(id types.ObjectIdentifier, err error) {
		i := at[aws.ToString(id.Key)]
		if errors.Is(err, errMarked) {
			err = s.removeVersions(ctx, strays[i])
		}
		errs[i] = err
	})
}

// side does something for each stray that has no error yet, several at a time.
func side(strays []reconcile.Stray, errs []error, do func(reconcile.Stray) error) {
	var group errgroup.Group
	group.SetLimit(listers)
	for i := range strays {
		if errs[i] == nil {
			group.Go(func() error {
				errs[i] = do(strays[i])
				return nil
			})
		}
	}
	_ = group.Wait()
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
	switch code := status(err); {
	case err == nil:
		return nil
	case code == http.StatusNotFound || code == http.StatusPreconditionFailed:
		return fmt.Errorf("copying %s: %w", o.Key, reconcile.ErrChanged)
	}
	return fmt.Errorf("copying %s to %s: %w", o.Key, key, explain(err, "s3:GetObject on it, and s3:PutObject below the quarantine prefix"))
}

// same asks once more whether a stray is as it was recorded: copies can take minutes, and not every store deletes on a
// condition.
func (s *Store) same(ctx context.Context, o reconcile.Stray) error {
	now, found, err := s.Head(ctx, o.Key)
	if err == nil && (!found || now.ETag != o.ETag || !now.LastModified.Truncate(time.Second).Equal(o.LastModified)) {
		err = fmt.Errorf("deleting %s: %w", o.Key, reconcile.ErrChanged)
	}
	return err
}

// removeVersions deletes all versions of a stray that are not newer than the recorded one, and its delete markers.
func (s *Store) removeVersions(ctx context.Context, o reconcile.Stray) error {
	versions, err := s.listVersions(ctx, o.Key)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return fmt.Errorf("deleting %s: its version is gone: %w", o.Key, reconcile.ErrChanged)
	}
	// The newest is to be the recorded one. While versioning is suspended an object that replaces it has the same version.
	newest := versions[0]
	if newest.version != cmp.Or(o.VersionID, nullVersion) || newest.etag != o.ETag ||
		!o.LastModified.IsZero() && !newest.modified.Truncate(time.Second).Equal(o.LastModified) {
		return fmt.Errorf("deleting %s: there is a newer version: %w", o.Key, reconcile.ErrChanged)
	}
	var input []types.ObjectIdentifier
	for _, v := range versions[1:] {
		input = append(input, types.ObjectIdentifier{Key: aws.String(v.key), VersionId: aws.String(v.version)})
	}
	// The recorded version last: as long as it is there the stray is known by it.
	last := types.ObjectIdentifier{Key: aws.String(newest.key), VersionId: aws.String(newest.version)}
	if newest.latest && newest.version == nullVersion { // S3 looks at the condition for what is current only
		last.ETag = aws.String(`"` + o.ETag + `"`)
	}
	input = append(input, last)
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

// nullVersion is the version of what was stored while versioning was not enabled.
const nullVersion = "null"

// inXML reports whether XML can hold a key. The SDK writes another character for those that it cannot hold, and so the
// name of another object.
func inXML(key string) bool {
	for _, c := range key {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF || c == utf8.RuneError {
			return false
		}
	}
	return true
}

// deleteOne deletes an object whose key no body can hold.
func (s *Store) deleteOne(ctx context.Context, id types.ObjectIdentifier) error {
	n := nameOf(id)
	out, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: id.Key, VersionId: id.VersionId, IfMatch: id.ETag})
	switch code := status(err); {
	case code == http.StatusPreconditionFailed || code == http.StatusConflict:
		return fmt.Errorf("deleting %s: %w", n, reconcile.ErrChanged)
	case err != nil:
		return fmt.Errorf("deleting %s: %w", n, explain(err, deleteActions))
	case n.version == "" && aws.ToBool(out.DeleteMarker):
		return s.marked(n)
	}
	return nil
}

// deleteIdentified is deleteObjects for any key, and tells the outcome of each.
func (s *Store) deleteIdentified(ctx context.Context, all []types.ObjectIdentifier, tell func(types.ObjectIdentifier, error)) {
	input := make([]types.ObjectIdentifier, 0, len(all))
	for _, id := range all {
		if inXML(aws.ToString(id.Key)) {
			input = append(input, id)
		} else {
			tell(id, s.deleteOne(ctx, id))
		}
	}
	if len(input) == 0 {
		return
	}
	each, err := s.deleteObjects(ctx, input)
	for i, id := range input {
		if err != nil {
			tell(id, err)
			continue
		}
		tell(id, each[i])
	}
}
