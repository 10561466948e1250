// Package objectstore keeps media's objects in S3, or in a store that speaks its protocol: it presigns requests for
// clients, looks at objects, and deletes them for good, noncurrent versions included.
//
// It fails closed: an object counts as absent, or as deleted, only when S3 says so in as many words. A refusal, a
// bucket that is not there, or an answer that leaves a key out is an error.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Store is one bucket, of which the product owns what begins with the prefix. It is safe for concurrent use.
type Store struct {
	client *s3.Client
	login  aws.CredentialsProvider
	bucket string
	prefix string
	now    func() time.Time

	reached  atomic.Int64           // Unix seconds of the last time that the bucket was seen to exist
	versions atomic.Pointer[answer] // what GetBucketVersioning said last

	addressed atomic.Pointer[form]
	signed    atomic.Pointer[signing] // that of the request before
}

// New returns the store of a bucket, whose keys begin with the prefix (see [media.Keys]). now is the time that
// presigned requests are signed at, which S3 compares with its own.
func New(client *s3.Client, bucket, prefix string, now func() time.Time) *Store {
	return &Store{
		client: client, bucket: bucket, prefix: prefix, now: now, login: client.Options().Credentials,
	}
}

// bare keeps the SDK from adding checksums of its own to presigned requests: it would sign that of an empty body for
// an upload, and would make a download need a header that no link can carry.
func bare(o *s3.Options) {
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
}

// pingKey is the end of a key that no media has.
const pingKey = ".ping"

// Ping answers nil when the bucket is there and this process may tell an absent object from a forbidden one, which
// is what [Store.Head] needs. It asks for an object that does not exist: unlike HEAD, a GET says whether it is the
// key or the bucket that is not there, and unlike HeadBucket it is allowed by policies that name the prefix.
func (s *Store) Ping(ctx context.Context) error {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.bucket, Key: aws.String(s.prefix + pingKey), Range: aws.String("bytes=0-0"),
	})
	if err == nil { // somebody put it there; that is as good an answer
		_, _ = io.Copy(io.Discard, out.Body)
		_ = out.Body.Close()
	} else if _, absent := errors.AsType[*types.NoSuchKey](err); !absent {
		return fmt.Errorf("asking bucket %q: %w", s.bucket, explain(err, "s3:GetObject on the bucket's objects and s3:ListBucket on the bucket"))
	}
	s.reached.Store(s.now().Unix())
	return nil
}

// reachedFor is how long the bucket is believed to exist after it was seen.
const reachedFor = time.Minute

// mustExist is an error when the bucket is not there, or that cannot be told.
func (s *Store) mustExist(ctx context.Context) error {
	if age := s.now().Sub(time.Unix(s.reached.Load(), 0)); age >= 0 && age < reachedFor {
		return nil
	}
	return s.Ping(ctx)
}

// explain adds to a refusal what has to be allowed.
func explain(err error, actions string) error {
	if status(err) == http.StatusForbidden {
		return fmt.Errorf("%w; the credentials must be allowed %s", err, actions)
	}
	return err
}

// status returns the HTTP status that S3 answered with, or 0 when there was no answer.
func status(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}
