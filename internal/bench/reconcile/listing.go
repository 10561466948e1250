package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// client is one of S3 at an endpoint, as the product makes it.
func client(ctx context.Context, endpoint string) (*s3.Client, error) {
	cfg, err := awsclient.Load(ctx, awsclient.Config{
		Region: "us-east-1", Endpoint: endpoint, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		return nil, err
	}
	return awsclient.S3(cfg), nil
}

// heapFloor is what the garbage collector is made to take for live memory, as in `coatcheck serve`. A listing makes little but
// garbage, and would spend a fifth of its time on collecting it.
const heapFloor = 32 << 20

// listing is a bare listing of a bucket: so many ranges, so many at a time.
type listing struct {
	endpoint            string
	shards, concurrency int
}

// all hands every page to use, which is called by several goroutines at a time, and returns how many keys there were.
func (l listing) all(ctx context.Context, use func([]types.Object) error) (int64, error) {
	defer runtime.KeepAlive(make([]byte, heapFloor))
	ranges, err := keyRanges(l.shards)
	if err != nil {
		return 0, err
	}
	bare, err := client(ctx, l.endpoint)
	if err != nil {
		return 0, err
	}
	var found atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(l.concurrency)
	for _, r := range ranges {
		group.Go(func() error {
			return listRange(ctx, bare, r, func(page []types.Object) error {
				found.Add(int64(len(page)))
				return use(page)
			})
		})
	}
	err = group.Wait()
	return found.Load(), err
}

func listRange(ctx context.Context, client *s3.Client, r keyRange, use func([]types.Object) error) error {
	in := &s3.ListObjectsV2Input{Bucket: aws.String(rig.Bucket), Prefix: aws.String(rig.Prefix)}
	if r.after != "" {
		in.StartAfter = &r.after
	}
	for {
		out, err := client.ListObjectsV2(ctx, in)
		if err != nil {
			return fmt.Errorf("listing from %q: %w", r.after, err)
		}
		page := out.Contents
		n := len(page)
		for r.end != "" && n > 0 && *page[n-1].Key >= r.end {
			n--
		}
		if err := use(page[:n]); err != nil {
			return err
		}
		if n < len(page) || !aws.ToBool(out.IsTruncated) {
			return nil
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}
