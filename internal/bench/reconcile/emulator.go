package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// fillers is how many clients fill the emulator.
const fillers = 16

// emulator is the emulator, whose clock follows the objects that it is filled with, so that they are as old as their
// rows.
type emulator struct {
	*awsemu.Server
	begun  atomic.Int64 // objects
	filled atomic.Bool
}

func newEmulator() (*emulator, error) {
	e := &emulator{}
	var err error
	e.Server, err = awsemu.New(awsemu.Config{Now: e.now})
	return e, err
}

func (e *emulator) now() time.Time {
	if e.filled.Load() {
		return time.Now()
	}
	return time.UnixMilli(rig.Beginning + rig.Interval*e.begun.Load())
}

// fill puts every object, by requests as every other client's.
func (e *emulator) fill(ctx context.Context, endpoint string, n population) error {
	usual, err := client(ctx, endpoint)
	if err != nil {
		return err
	}
	options := usual.Options()
	options.HTTPSignerV4 = signer{v4.NewSigner(), e.now}
	options.AuthSchemes = nil // they hold the usual signer
	put := s3.New(options)
	if _, err := put.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(rig.Bucket)}); err != nil {
		return fmt.Errorf("making the bucket: %w", err)
	}
	told := rig.NewProgress("objects put", int(n))
	sum := base64.StdEncoding.EncodeToString(rig.Checksum())
	group, ctx := errgroup.WithContext(ctx)
	for range fillers {
		group.Go(func() error {
			for i := int(e.begun.Add(1)) - 1; i < int(n); i = int(e.begun.Add(1)) - 1 {
				if _, err := put.PutObject(ctx, &s3.PutObjectInput{
					Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(rig.ID(i))), Body: strings.NewReader(rig.Body),
					ContentType: aws.String("image/jpeg"), ChecksumSHA256: &sum, IfNoneMatch: aws.String("*"),
				}); err != nil {
					return fmt.Errorf("putting object %d: %w", i, err)
				}
				told.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	told.End()
	e.filled.Store(true)
	return nil
}

// signer signs for the emulator's clock.
type signer struct {
	*v4.Signer
	now func() time.Time
}

// SignHTTP implements [s3.HTTPSignerV4].
func (s signer) SignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string,
	_ time.Time, options ...func(*v4.SignerOptions),
) error {
	return s.Signer.SignHTTP(ctx, credentials, r, payloadHash, service, region, s.now(), options...)
}
