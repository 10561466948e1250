package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
	"github.com/coatcheck/coatcheck/internal/rpc"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// owner is for whom uploads are made: that of the rows that are planted.
const owner = "user-1"

// api is a process that serves UploadService and MediaService, with clients of it: Connect over HTTP/1.1, in binary.
type api struct {
	pid     int
	address string
	uploads coatcheckv1connect.UploadServiceClient
	medias  coatcheckv1connect.MediaServiceClient
}

// newAPI keeps a connection for each of so many callers as there are at most.
func newAPI(pid int, address, token string) *api {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}
	sign := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			req.Header().Set(auth.OwnerHeader, owner)
			return next(ctx, req)
		}
	}))
	return &api{
		pid:     pid,
		address: address,
		uploads: coatcheckv1connect.NewUploadServiceClient(client, "http://"+address, sign),
		medias:  coatcheckv1connect.NewMediaServiceClient(client, "http://"+address, sign),
	}
}

// serve starts coatcheck with roles, and returns its API and what ends it.
func (s *site) serve(roles string, args, env []string) (*api, func() error, error) {
	token, tokens, err := auth.NewToken("bench", "bench")
	if err != nil {
		return nil, nil, err
	}
	program, err := filepath.Abs(s.config.coatcheck)
	if err != nil {
		return nil, nil, err
	}
	server, err := rig.StartServer(program, append([]string{"--roles", roles}, args...), append(s.environment(), append(env, "COATCHECK_TOKENS="+tokens)...))
	if err != nil {
		return nil, nil, err
	}
	return newAPI(server.PID, server.Address, token), server.Stop, nil
}

// environment is that of every command of coatcheck.
func (s *site) environment() []string {
	return []string{"COATCHECK_DATABASE_URL=" + s.db.URL, "COATCHECK_BUCKET=" + rig.Bucket, "COATCHECK_KEY_PREFIX=" + rig.Prefix,
		"COATCHECK_AWS_ENDPOINT=" + s.aws.plain}
}

// idle starts the same services with handlers that do nothing.
func (s *site) idle(ctx context.Context) (*api, func(), error) {
	process, err := rig.StartSelf(ctx, "bare-api")
	if err != nil {
		return nil, nil, err
	}
	return newAPI(process.PID, process.Ready, "coat_of_nobody"), process.Stop, nil
}

// bareAPI is a process that decodes the requests of the API, answers what it always answers, and encodes that.
func bareAPI(ctx context.Context, _ []string, out io.Writer) error {
	ctx, cancel := rig.UntilOrphaned(ctx)
	defer cancel()
	mux := http.NewServeMux()
	as := connect.WithCompressMinBytes(rpc.CompressFrom)
	mux.Handle(coatcheckv1connect.NewUploadServiceHandler(idleUploads{}, as))
	mux.Handle(coatcheckv1connect.NewMediaServiceHandler(idleMedias{}, as))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type idleUploads struct {
	coatcheckv1connect.UnimplementedUploadServiceHandler
}

type idleMedias struct {
	coatcheckv1connect.UnimplementedMediaServiceHandler
}

func (idleUploads) CreateUpload(context.Context, *connect.Request[coatcheckv1.CreateUploadRequest]) (*connect.Response[coatcheckv1.CreateUploadResponse], error) {
	id := rig.ID(1)
	return connect.NewResponse(&coatcheckv1.CreateUploadResponse{
		Media: fixedMedia(id.String(), coatcheckv1.MediaState_MEDIA_STATE_PENDING),
		Request: &coatcheckv1.PresignedRequest{Method: http.MethodPut, Url: fixedURL, ExpiresAt: timestamppb.New(rig.Created(id)), Headers: map[string]string{
			"Content-Type": rig.ContentType, "If-None-Match": "*", "x-amz-checksum-sha256": fixedSum, "x-amz-sdk-checksum-algorithm": "SHA256",
		}},
	}), nil
}

func (idleMedias) ConfirmMedia(_ context.Context, req *connect.Request[coatcheckv1.ConfirmMediaRequest]) (*connect.Response[coatcheckv1.ConfirmMediaResponse], error) {
	return connect.NewResponse(&coatcheckv1.ConfirmMediaResponse{
		Media: fixedMedia(req.Msg.GetMediaId(), coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED),
	}), nil
}

func (idleMedias) BatchConfirmMedia(_ context.Context, req *connect.Request[coatcheckv1.BatchConfirmMediaRequest]) (*connect.Response[coatcheckv1.BatchConfirmMediaResponse], error) {
	answer := &coatcheckv1.BatchConfirmMediaResponse{}
	for _, item := range req.Msg.GetItems() {
		answer.Media = append(answer.Media, fixedMedia(item.GetMediaId(), coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED))
	}
	return connect.NewResponse(answer), nil
}

const (
	fixedSum = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
	// fixedURL is about as long as a presigned one.
	fixedURL = "http://127.0.0.1:9000/bench/media/5c/01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b5c?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=test%2F20250601%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20250601T000000Z&X-Amz-Expires=300" +
		"&X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match%3Bx-amz-checksum-sha256&x-id=PutObject" +
		"&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// fixedMedia has what a real answer has.
func fixedMedia(id string, state coatcheckv1.MediaState) *coatcheckv1.Media {
	at := timestamppb.New(time.UnixMilli(rig.Beginning))
	m := &coatcheckv1.Media{
		Id: id, State: state, Key: rig.Prefix + "5c/" + id, Owner: owner, ContentType: rig.ContentType, SizeBytes: int64(len(rig.Body)),
		ChecksumSha256: fixedSum, FileName: "coat.jpg", CreatedAt: at, ExpiresAt: at,
	}
	if state == coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED {
		m.Claim, m.Etag, m.LandedAt, m.ConfirmedAt, m.ExpiresAt = "post/1", rig.ETag(), at, at, nil
		m.LandedBy = coatcheckv1.LandingSource_LANDING_SOURCE_NOTIFICATION
	}
	return m
}
