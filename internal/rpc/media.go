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

// defaultPageSize is that of ListMedia when the caller names none.
const defaultPageSize = 100

// medias implements MediaService.
type medias struct {
	store       Store
	objects     Objects
	claimer     Claimer
	downloadTTL time.Duration
}

func (s *medias) ConfirmMedia(ctx context.Context, req *connect.Request[coatcheckv1.ConfirmMediaRequest]) (*connect.Response[coatcheckv1.ConfirmMediaResponse], error) {
	confirmed, err := s.claimer.Confirm(ctx, auth.From(ctx).Scope(), []media.Claim{toClaim(req.Msg)})
	if batch, ok := errors.AsType[*media.BatchError](err); ok {
		return nil, batch.Items[0]
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.ConfirmMediaResponse{Media: toProto(confirmed[0])}), nil
}

func (s *medias) BatchConfirmMedia(ctx context.Context, req *connect.Request[coatcheckv1.BatchConfirmMediaRequest]) (*connect.Response[coatcheckv1.BatchConfirmMediaResponse], error) {
	claims := make([]media.Claim, len(req.Msg.GetItems()))
	seen := make(map[uuid.UUID]bool, len(claims))
	for i, item := range req.Msg.GetItems() {
		claims[i] = toClaim(item)
		if seen[claims[i].MediaID] { // no rule in the proto, which would compare texts: "A" and "a" are one id
			return nil, media.Invalid("items", "items.distinct", "a media may occur only once in a batch")
		}
		seen[claims[i].MediaID] = true
	}
	confirmed, err := s.claimer.Confirm(ctx, auth.From(ctx).Scope(), claims)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.BatchConfirmMediaResponse{Media: allToProto(confirmed)}), nil
}

func toClaim(r *coatcheckv1.ConfirmMediaRequest) media.Claim {
	return media.Claim{MediaID: mediaID(r), Claim: r.GetClaim()}
}

func allToProto(ms []*media.Media) []*coatcheckv1.Media {
	ps := make([]*coatcheckv1.Media, len(ms))
	for i, m := range ms {
		ps[i] = toProto(m)
	}
	return ps
}

func (s *medias) ReleaseMedia(ctx context.Context, req *connect.Request[coatcheckv1.ReleaseMediaRequest]) (*connect.Response[coatcheckv1.ReleaseMediaResponse], error) {
	m, err := s.store.Discard(ctx, auth.From(ctx).Scope(), mediaID(req.Msg), media.EventRelease, req.Msg.GetClaim())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.ReleaseMediaResponse{Media: toProto(m)}), nil
}

func (s *medias) DeleteMedia(ctx context.Context, req *connect.Request[coatcheckv1.DeleteMediaRequest]) (*connect.Response[coatcheckv1.DeleteMediaResponse], error) {
	m, err := s.store.Discard(ctx, auth.From(ctx).Scope(), mediaID(req.Msg), media.EventDelete, "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.DeleteMediaResponse{Media: toProto(m)}), nil
}

func (s *medias) GetMedia(ctx context.Context, req *connect.Request[coatcheckv1.GetMediaRequest]) (*connect.Response[coatcheckv1.GetMediaResponse], error) {
	m, err := s.store.Get(ctx, auth.From(ctx).Scope(), mediaID(req.Msg))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.GetMediaResponse{Media: toProto(m)}), nil
}

func (s *medias) ListMedia(ctx context.Context, req *connect.Request[coatcheckv1.ListMediaRequest]) (*connect.Response[coatcheckv1.ListMediaResponse], error) {
	scope := auth.From(ctx).Scope()
	if owner := req.Msg.GetOwner(); owner != "" {
		if scope.Owner != "" && scope.Owner != owner {
			return connect.NewResponse(&coatcheckv1.ListMediaResponse{}), nil // nothing of another's is seen (R9)
		}
		scope.Owner = owner
	}
	page := media.Page{State: fromState(req.Msg.GetState()), Limit: defaultPageSize}
	if n := req.Msg.GetPageSize(); n > 0 {
		page.Limit = int(n)
	}
	if token := req.Msg.GetPageToken(); token != "" {
		before, err := parsePageToken(token)
		if err != nil {
			return nil, media.Invalid("pageToken", "page_token.form", "must be a nextPageToken of an earlier answer, or empty")
		}
		page.Before = before
	}
	ms, err := s.store.List(ctx, scope, page)
	if err != nil {
		return nil, err
	}
	answer := &coatcheckv1.ListMediaResponse{Media: allToProto(ms)}
	if len(ms) == page.Limit {
		answer.NextPageToken = pageToken(ms[len(ms)-1].ID)
	}
	return connect.NewResponse(answer), nil
}

func fromState(p coatcheckv1.MediaState) media.State {
	for state, known := range states {
		if known == p {
			return state
		}
	}
	return ""
}

func pageToken(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parsePageToken(token string) (uuid.UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return uuid.UUID{}, err
	}
	return uuid.FromBytes(b)
}

func (s *medias) CreateDownload(ctx context.Context, req *connect.Request[coatcheckv1.CreateDownloadRequest]) (*connect.Response[coatcheckv1.CreateDownloadResponse], error) {
	m, err := s.store.Get(ctx, auth.From(ctx).Scope(), mediaID(req.Msg))
	if err != nil {
		return nil, err
	}
	switch m.State {
	case media.StateUploaded, media.StateConfirmed:
	case media.StatePending:
		return nil, &media.Error{
			Code: media.CodeNotLanded, MediaID: m.ID, State: m.State,
			Message: fmt.Sprintf("media %s has not been uploaded: there is nothing to download yet", m.ID),
		}
	default:
		return nil, media.Gone(m)
	}
	ttl := s.downloadTTL
	if req.Msg.GetTtl() != nil {
		ttl = req.Msg.GetTtl().AsDuration().Truncate(time.Second) // a signature counts in whole seconds
	}
	request, err := s.objects.PresignGet(ctx, m, ttl)
	if err != nil {
		return nil, fmt.Errorf("presigning the download of media %s: %w", m.ID, err)
	}
	return connect.NewResponse(&coatcheckv1.CreateDownloadResponse{Request: requestToProto(request)}), nil
}
