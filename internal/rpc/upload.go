package rpc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/media"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// uploads implements UploadService.
type uploads struct {
	store   Store
	objects Objects
	keys    media.Keys
	limits  Limits
	urlTTL  time.Duration
	now     func() time.Time
	watcher Watcher
	life    life
}

var errNoOwner = connect.NewError(connect.CodeInvalidArgument,
	fmt.Errorf("header %s: must name the owner for whom the upload is", auth.OwnerHeader))

// owned is the scope of a caller who acts for an owner, as every caller of UploadService does.
func owned(ctx context.Context) (media.Scope, error) {
	scope := auth.From(ctx).Scope()
	if scope.Owner == "" {
		return media.Scope{}, errNoOwner
	}
	return scope, nil
}

func (u *uploads) CreateUpload(ctx context.Context, req *connect.Request[coatcheckv1.CreateUploadRequest]) (*connect.Response[coatcheckv1.CreateUploadResponse], error) {
	created, err := u.create(ctx, []*coatcheckv1.CreateUploadRequest{req.Msg})
	// One upload is a batch of one, and is answered as one.
	if batch, ok := errors.AsType[*media.BatchError](err); ok {
		return nil, batch.Items[0]
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(created[0]), nil
}

func (u *uploads) BatchCreateUploads(ctx context.Context, req *connect.Request[coatcheckv1.BatchCreateUploadsRequest]) (*connect.Response[coatcheckv1.BatchCreateUploadsResponse], error) {
	created, err := u.create(ctx, req.Msg.GetUploads())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.BatchCreateUploadsResponse{Uploads: created}), nil
}

func (u *uploads) create(ctx context.Context, reqs []*coatcheckv1.CreateUploadRequest) ([]*coatcheckv1.CreateUploadResponse, error) {
	scope, err := owned(ctx)
	if err != nil {
		return nil, err
	}
	refused := &media.BatchError{Items: make([]*media.Error, len(reqs))}
	failed := false
	drafts := make([]*media.Media, len(reqs))
	for i, r := range reqs {
		if refused.Items[i] = u.limits.check(r.GetSizeBytes(), r.GetContentType()); refused.Items[i] != nil {
			failed = true
			continue
		}
		if drafts[i], err = u.draft(scope, r); err != nil {
			return nil, err
		}
	}
	if failed {
		return nil, refused
	}
	stored, err := u.store.Create(ctx, drafts)
	if err != nil {
		return nil, err
	}
	answers := make([]*coatcheckv1.CreateUploadResponse, len(stored))
	for i, m := range stored {
		answers[i] = &coatcheckv1.CreateUploadResponse{Media: toProto(m)}
		if m.State != media.StatePending {
			continue
		}
		request, err := u.objects.PresignPut(ctx, m, u.urlTTL)
		if err != nil {
			return nil, fmt.Errorf("presigning the upload of media %s: %w", m.ID, err)
		}
		answers[i].Request = requestToProto(request)
	}
	return answers, nil
}

// draft is the media that a valid request asks for.
func (u *uploads) draft(scope media.Scope, r *coatcheckv1.CreateUploadRequest) (*media.Media, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("minting an id: %w", err)
	}
	checksum, err := base64.StdEncoding.DecodeString(r.GetChecksumSha256())
	if err != nil {
		return nil, media.Invalid("checksumSha256", "checksum_sha256.form", "must be a SHA-256 in standard base64")
	}
	if len(checksum) == 0 {
		checksum = nil
	}
	return &media.Media{
		ID: id, Tenant: scope.Tenant, Owner: scope.Owner, Key: u.keys.Key(id), ContentType: r.GetContentType(),
		SizeBytes: r.GetSizeBytes(), ChecksumSHA256: checksum, FileName: r.GetFileName(), Metadata: r.GetMetadata(),
		IdempotencyKey: r.GetIdempotencyKey(), URLExpiresAt: u.now().Add(u.urlTTL),
	}, nil
}

func (u *uploads) GetUpload(ctx context.Context, req *connect.Request[coatcheckv1.GetUploadRequest]) (*connect.Response[coatcheckv1.GetUploadResponse], error) {
	scope, err := owned(ctx)
	if err != nil {
		return nil, err
	}
	m, err := u.store.Get(ctx, scope, mediaID(req.Msg))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.GetUploadResponse{Media: toProto(m)}), nil
}

func (u *uploads) CancelUpload(ctx context.Context, req *connect.Request[coatcheckv1.CancelUploadRequest]) (*connect.Response[coatcheckv1.CancelUploadResponse], error) {
	scope, err := owned(ctx)
	if err != nil {
		return nil, err
	}
	m, err := u.store.Discard(ctx, scope, mediaID(req.Msg), media.EventCancel, "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.CancelUploadResponse{Media: toProto(m)}), nil
}

// mediaID reads the id of a request that has been validated. One that has not names no media.
func mediaID(req interface{ GetMediaId() string }) uuid.UUID {
	id, err := uuid.Parse(req.GetMediaId())
	if err != nil {
		return uuid.UUID{}
	}
	return id
}
