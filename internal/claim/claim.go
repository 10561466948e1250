// Package claim confirms media. A confirmation that comes before the notification is never told no: S3 itself is asked.
package claim

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/media"
)

// headConcurrency bounds the HEADs of one batch: enough for 100 items in a few round trips.
const headConcurrency = 16

// Store keeps media.
type Store interface {
	Get(ctx context.Context, scope media.Scope, id uuid.UUID) (*media.Media, error)
	Land(ctx context.Context, source media.Source, landings []media.Landing) ([]media.Landed, error)
	Confirm(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error)
}

// Objects answers what is in the bucket.
type Objects interface {
	Head(ctx context.Context, key string) (o media.Object, found bool, err error)
}

// Claimer confirms media.
type Claimer struct {
	store   Store
	objects Objects
}

// New returns a claimer.
func New(store Store, objects Objects) *Claimer {
	return &Claimer{store: store, objects: objects}
}

// Confirm claims media, all or none, and returns them in the order given. From UPLOADED it makes no S3 call. When some
// are PENDING it asks S3 for those and records what has landed, which is a fact and stays recorded whatever becomes of
// the batch, and then claims again: what became of a media while S3 was asked is in the answer. A refusal is a
// [media.BatchError].
func (c *Claimer) Confirm(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error) {
	confirmed, err := c.store.Confirm(ctx, scope, claims)
	refused, ok := errors.AsType[*media.BatchError](err)
	if !ok {
		return confirmed, err
	}
	var pending []uuid.UUID
	for i, item := range refused.Items {
		if item != nil && item.Code == media.CodeNotLanded {
			pending = append(pending, claims[i].MediaID)
		}
	}
	landings, headErr := c.look(ctx, scope, pending)
	if headErr != nil {
		return nil, headErr
	}
	if len(pending) == 0 {
		return nil, err
	}
	if _, err := c.store.Land(ctx, media.SourceConfirm, landings); err != nil {
		return nil, err
	}
	return c.store.Confirm(ctx, scope, claims)
}

// look asks S3 for each PENDING media and returns the landings of those whose object is there.
func (c *Claimer) look(ctx context.Context, scope media.Scope, ids []uuid.UUID) ([]media.Landing, error) {
	found := make([]*media.Landing, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(headConcurrency)
	for i, id := range ids {
		group.Go(func() error {
			m, err := c.store.Get(ctx, scope, id)
			if err != nil {
				return err
			}
			object, ok, err := c.objects.Head(ctx, m.Key)
			if err != nil {
				return fmt.Errorf("asking S3 for media %s: %w", id, err)
			}
			if ok {
				landing := m.Observe(object)
				found[i] = &landing
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var landings []media.Landing
	for _, l := range found {
		if l != nil {
			landings = append(landings, *l)
		}
	}
	return landings, nil
}
