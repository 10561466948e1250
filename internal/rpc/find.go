package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// Finder finds media of any tenant.
type Finder interface {
	// FindByID returns nil when there is none.
	FindByID(ctx context.Context, id uuid.UUID) (*media.Record, error)
	// FindByKey returns those whose keys begin with a text, with ids below before unless it is zero, newest first.
	FindByKey(ctx context.Context, prefix string, before uuid.UUID, limit int) ([]media.Record, error)
	// StrayAt returns the stray with a key; nil when there is none.
	StrayAt(ctx context.Context, key string) (*reconcile.Stray, error)
}

const (
	// findTime is how long a look may take: keys that many media share, none of them new, are looked for among all.
	findTime = 10 * time.Second
	// defaultFound is how many are found when the caller does not say.
	defaultFound = 20
)

func (a *admin) FindMedia(ctx context.Context, req *connect.Request[coatcheckv1.FindMediaRequest]) (*connect.Response[coatcheckv1.FindMediaResponse], error) {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	var before uuid.UUID
	if token := req.Msg.GetPageToken(); token != "" {
		var err error
		if before, err = parsePageToken(token); err != nil {
			return nil, errPageToken()
		}
	}
	query, size := req.Msg.GetQuery(), defaultFound
	if n := req.Msg.GetPageSize(); n > 0 {
		size = int(n)
	}
	answer := new(coatcheckv1.FindMediaResponse)
	if id, err := uuid.Parse(query); err == nil && len(query) == len(id.String()) {
		found, err := a.finder.FindByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if found != nil {
			answer.Media = append(answer.Media, recordToProto(found))
			return connect.NewResponse(answer), nil
		} // else it may be how a key begins
	}
	found, err := a.finder.FindByKey(ctx, query, before, size)
	if err != nil {
		return nil, err
	}
	for i := range found {
		answer.Media = append(answer.Media, recordToProto(&found[i]))
	}
	if len(found) == size {
		answer.NextPageToken = pageToken(found[len(found)-1].ID)
	}
	stray, err := a.finder.StrayAt(ctx, query)
	if err != nil {
		return nil, err
	}
	if stray != nil {
		answer.Stray = strayToProto(stray)
	}
	return connect.NewResponse(answer), nil
}

func recordToProto(r *media.Record) *coatcheckv1.MediaRecord {
	return &coatcheckv1.MediaRecord{
		Media: toProto(r.Media), Tenant: r.Tenant, UrlExpiresAt: timestamp(r.URLExpiresAt), DeletingAt: timestamp(r.DeletingAt),
		DueAt: timestamp(r.DueAt), Attempts: int32(r.Attempts), LastError: r.LastError, MissingSince: timestamp(r.MissingSince),
		Notified: r.Notified(),
	}
}
