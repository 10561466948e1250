package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

const (
	bareExpireSQL = `
	UPDATE coatcheck.media SET state = 'deleting', reason = $2, deleting_at = $3, due_at = $3, revision = revision + 1
	WHERE id = ANY ($1::uuid[])`
	bareFinishSQL = `
	UPDATE coatcheck.media SET state = 'deleted', deleted_at = $2, due_at = $3, revision = revision + 1
	WHERE id = ANY ($1::uuid[])`
)

// bareSweep names the parts of a sweep that it cannot do without.
func bareSweep(class string) string {
	if class == neverUploaded {
		return "HEADs, DeleteObjects and two UPDATEs"
	}
	return "DeleteObjects and two UPDATEs"
}

// sweepBarely makes the calls and the statements that a sweep cannot do without, one after another, and judges nothing.
func (f *sweeps) sweepBarely(ctx context.Context, class string, ids []uuid.UUID) (took time.Duration, err error) {
	err = f.db.With(ctx, func(db *pgx.Conn) error {
		began := time.Now()
		for batch := range slices.Chunk(ids, sweepBatch) {
			if class == neverUploaded {
				if err := f.aws.look(ctx, batch); err != nil {
					return err
				}
			}
			now, params := time.Now(), rig.Params(batch)
			if _, err := db.Exec(ctx, bareExpireSQL, params, class, now); err != nil {
				return err
			}
			if err := f.aws.deleteAll(ctx, batch); err != nil {
				return err
			}
			if _, err := db.Exec(ctx, bareFinishSQL, params, now, now.Add(7*24*time.Hour)); err != nil {
				return err
			}
		}
		took = time.Since(began)
		return nil
	})
	return took, err
}

// look asks for each media of a batch, as many at a time as coatcheck does.
func (a *awsServer) look(ctx context.Context, batch []uuid.UUID) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sweepHeads)
	for _, id := range batch {
		group.Go(func() error { _, err := a.has(ctx, id); return err })
	}
	return group.Wait()
}

// deleteAll deletes the objects of media by one call.
func (a *awsServer) deleteAll(ctx context.Context, ids []uuid.UUID) error {
	objects := make([]types.ObjectIdentifier, len(ids))
	for i, id := range ids {
		objects[i].Key = aws.String(rig.Keys.Key(id))
	}
	out, err := a.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(rig.Bucket), Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(false)}})
	if err == nil && len(out.Deleted) != len(ids) {
		err = fmt.Errorf("%d of %d objects were deleted", len(out.Deleted), len(ids))
	}
	return err
}

// turnOfCalls stores the objects of a class, and makes the calls to S3 alone, with as many at a time as coatcheck has.
func (f *sweeps) turnOfCalls(ctx context.Context, class string) error {
	ids := f.take()
	if class == unclaimed {
		if err := f.aws.store(ctx, ids); err != nil {
			return err
		}
	}
	slow, err := f.aws.slow(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(sweepBatches)
	var looking errgroup.Group
	looking.SetLimit(sweepHeads)
	for batch := range slices.Chunk(ids, sweepBatch) {
		var looked sync.WaitGroup
		if class == neverUploaded {
			looked.Add(len(batch))
			for _, id := range batch { // of the next batch while this one is being deleted
				looking.Go(func() error {
					defer looked.Done()
					_, err := slow.has(within, id)
					return err
				})
			}
		}
		group.Go(func() error {
			looked.Wait()
			return slow.deleteAll(within, batch)
		})
	}
	if err := errors.Join(looking.Wait(), group.Wait()); err != nil {
		return err
	}
	f.took(swept{class: class, bare: true, delayed: true}, time.Since(began))
	return nil
}

// store stores the objects of media.
func (a *awsServer) store(ctx context.Context, ids []uuid.UUID) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, id := range ids {
		group.Go(func() error {
			_, err := a.s3.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(id)), Body: strings.NewReader(rig.Body), ContentType: aws.String(rig.ContentType),
			})
			return err
		})
	}
	return group.Wait()
}

// has reports whether the object of a media is there.
func (a *awsServer) has(ctx context.Context, id uuid.UUID) (bool, error) {
	_, err := a.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(rig.Bucket), Key: aws.String(rig.Keys.Key(id))})
	if _, ok := errors.AsType[*types.NotFound](err); ok {
		return false, nil
	}
	return err == nil, err
}
