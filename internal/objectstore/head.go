package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Head asks S3 for an object, and reports false when there is none. Everything but a plain "not found" in a bucket
// that exists is an error: whoever cannot tell must not take the object for absent.
func (s *Store) Head(ctx context.Context, key string) (o media.Object, found bool, err error) {
	return s.head(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
}

// HeadVersion asks for one version of an object.
func (s *Store) HeadVersion(ctx context.Context, key, version string) (o media.Object, found bool, err error) {
	return s.head(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key, VersionId: &version, ChecksumMode: types.ChecksumModeEnabled})
}

func (s *Store) head(ctx context.Context, in *s3.HeadObjectInput) (o media.Object, found bool, err error) {
	key := aws.ToString(in.Key)
	out, err := s.client.HeadObject(ctx, in)
	if status(err) == http.StatusNotFound {
		// The answer to a HEAD has no body, so that this may as well be a bucket that does not exist.
		if err := s.mustExist(ctx); err != nil {
			return media.Object{}, false, fmt.Errorf("looking at %s: %w", key, err)
		}
		return media.Object{}, false, nil
	}
	if err != nil {
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
		err = explain(err, "s3:GetObject on the bucket's objects and s3:ListBucket on the bucket: without the latter, "+
			"S3 does not tell what is absent from what is forbidden")
		return media.Object{}, false, fmt.Errorf("looking at %s: %w", key, err)
	}
	if out.ContentLength == nil {
		return media.Object{}, false, fmt.Errorf("looking at %s: the answer tells no size", key)
	}
	return media.Object{
		SizeBytes: *out.ContentLength, ContentType: aws.ToString(out.ContentType),
		ChecksumSHA256: fullSHA256(out), ETag: strings.Trim(aws.ToString(out.ETag), `"`),
		VersionID: aws.ToString(out.VersionId), LastModified: aws.ToTime(out.LastModified),
	}, true, nil
}

// fullSHA256 returns the checksum of the object, or nil when S3 has none. That of a multipart upload is one of its
// parts' checksums, which says nothing here.
func fullSHA256(out *s3.HeadObjectOutput) []byte {
	if out.ChecksumType == types.ChecksumTypeComposite {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(out.ChecksumSHA256))
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}
