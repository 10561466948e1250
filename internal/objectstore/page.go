package objectstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// page is one answer of ListObjectsV2 or ListObjectVersions, with its keys decoded.
type page struct {
	objects  []reconcile.Listed
	versions []version
	markers  []string // keys of delete markers

	truncated bool
	// next is a continuation token, or with nextVersion what the next page of versions comes after.
	next, nextVersion string
}

// version is one version of an object.
type version struct {
	reconcile.Listed
	latest bool
}

// errNoAnswer is of a document without what both kinds of answers always have: a page of a proxy, or nothing at all. To
// take it for the end of the bucket would make what is in it look missing.
var errNoAnswer = errors.New("the answer is no listing: it does not say whether there is more")

// objectsOf returns what the SDK has decoded.
func objectsOf(out *s3.ListObjectsV2Output) (*page, error) {
	if out.IsTruncated == nil {
		return nil, errNoAnswer
	}
	p := &page{truncated: *out.IsTruncated, next: aws.ToString(out.NextContinuationToken), objects: make([]reconcile.Listed, len(out.Contents))}
	for i := range out.Contents {
		o := &out.Contents[i]
		key, err := decodeKey(aws.ToString(o.Key), out.EncodingType)
		if err != nil {
			return nil, err
		}
		p.objects[i] = reconcile.Listed{
			Key: key, SizeBytes: aws.ToInt64(o.Size), ETag: unquoted(aws.ToString(o.ETag)), LastModified: aws.ToTime(o.LastModified),
		}
	}
	return p, nil
}

// versionsOf is the same of versions.
func versionsOf(out *s3.ListObjectVersionsOutput) (*page, error) {
	if out.IsTruncated == nil {
		return nil, errNoAnswer
	}
	p := &page{truncated: *out.IsTruncated, nextVersion: aws.ToString(out.NextVersionIdMarker), versions: make([]version, len(out.Versions))}
	p.next = decodeMarker(aws.ToString(out.NextKeyMarker), out.EncodingType)
	for i := range out.Versions {
		v := &out.Versions[i]
		key, err := decodeKey(aws.ToString(v.Key), out.EncodingType)
		if err != nil {
			return nil, err
		}
		p.versions[i] = version{latest: aws.ToBool(v.IsLatest), Listed: reconcile.Listed{
			Key: key, SizeBytes: aws.ToInt64(v.Size), ETag: unquoted(aws.ToString(v.ETag)), LastModified: aws.ToTime(v.LastModified),
			VersionID: aws.ToString(v.VersionId),
		}}
	}
	for i := range out.DeleteMarkers {
		key, err := decodeKey(aws.ToString(out.DeleteMarkers[i].Key), out.EncodingType)
		if err != nil {
			return nil, err
		}
		p.markers = append(p.markers, key)
	}
	return p, nil
}

func unquoted(etag string) string { return strings.Trim(etag, `"`) }

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

// decodeMarker is decodeKey for a key that goes back to where it came from, whatever it is.
func decodeMarker(key string, encoding types.EncodingType) string {
	if decoded, err := decodeKey(key, encoding); err == nil {
		return decoded
	}
	return key
}
