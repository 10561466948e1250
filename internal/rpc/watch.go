package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

func (u *uploads) WatchUpload(ctx context.Context, req *connect.Request[coatcheckv1.WatchUploadRequest], stream *connect.ServerStream[coatcheckv1.WatchUploadResponse]) error {
	scope, err := owned(ctx)
	if err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(req.Msg.GetMediaIds()))
	for i, id := range req.Msg.GetMediaIds() {
		if ids[i], err = uuid.Parse(id); err != nil {
			return errors.New("an id passed the rules and is none")
		}
	}
	w, err := u.watcher.Watch(ctx, scope, ids)
	if err != nil {
		return err
	}
	defer w.Close()
	return follow(ctx, u.life, w.Changed(), func() (sent, over bool, err error) {
		changed, over := w.Take()
		for _, m := range changed {
			if err := stream.Send(&coatcheckv1.WatchUploadResponse{Media: toProto(m)}); err != nil {
				return false, false, err
			}
		}
		return len(changed) > 0, over, nil
	}, func() error { return stream.Send(&coatcheckv1.WatchUploadResponse{}) })
}
