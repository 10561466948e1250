// Package rpc serves the API: Connect, gRPC and gRPC-Web on one port, for browsers, phones and backends. A call is
// authenticated before its body is decoded, validated by the rules of its proto, and answered with one of Connect's
// codes and an ErrorInfo.
package rpc

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/google/uuid"
	"github.com/rs/cors"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/watch"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// Store keeps media.
type Store interface {
	Create(ctx context.Context, ms []*media.Media) ([]*media.Media, error)
	Get(ctx context.Context, scope media.Scope, id uuid.UUID) (*media.Media, error)
	List(ctx context.Context, scope media.Scope, page media.Page) ([]*media.Media, error)
	Discard(ctx context.Context, scope media.Scope, id uuid.UUID, e media.Event, claim string) (*media.Media, error)
}

// Claimer confirms media, all or none.
type Claimer interface {
	Confirm(ctx context.Context, scope media.Scope, claims []media.Claim) ([]*media.Media, error)
}

// Watcher tells of changes of media.
type Watcher interface {
	Watch(ctx context.Context, scope media.Scope, ids []uuid.UUID) (*watch.Watch, error)
}

// Objects presigns requests to the bucket.
type Objects interface {
	PresignPut(ctx context.Context, m *media.Media, ttl time.Duration) (media.Presigned, error)
	PresignGet(ctx context.Context, m *media.Media, ttl time.Duration) (media.Presigned, error)
}

// Config is what the API needs.
type Config struct {
	Store        Store
	Objects      Objects
	Claimer      Claimer
	Watcher      Watcher
	Authenticate auth.Authenticator
	Keys         media.Keys
	Limits       Limits
	// URLTTL is how long a presigned PUT may be begun. Long ones suit slow starts and queued uploads; short ones leave
	// less time to whoever gets hold of a URL.
	URLTTL time.Duration
	// DownloadTTL is that of a presigned GET for which the caller names none.
	DownloadTTL time.Duration
	// AllowedOrigins are the web origins whose pages may call the API; none by default.
	AllowedOrigins []string
	// Transient tells faults of the servers behind that will pass.
	Transient func(error) bool
	// Ready answers nil when the process can do its job; the gRPC health service asks it.
	Ready func(context.Context) error
	// Stopping is closed when the process is to stop: streams end then. Nil: never.
	Stopping <-chan struct{}
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  *Metrics

	// Reconciles, BeginReconcile and what follows are what AdminService needs: it is served when the first two are set.
	Reconciles     Reconciles
	BeginReconcile BeginReconcile
	Overviews      Overviews
	Passes         Passes
	Sweeper        Sweeper
	Finder         Finder
	DeadLetters    DeadLetters // nil: this process knows no queue
	// MaySweep says that this process has the role, and with it the right to delete objects.
	MaySweep bool
	// ReconcileSettings are those of a run for which the operator names none.
	ReconcileSettings reconcile.Settings
}

// maxRequestBytes bounds a request's body: twice a batch of 100 uploads with as much metadata as is allowed, in ASCII.
const maxRequestBytes = 8 << 20

// CompressFrom is the size, in bytes, from which an answer is compressed. The answer of one upload or media is one or two
// packets either way, and compressing it took a quarter of the processor time of CreateUpload.
const CompressFrom = 64 << 10

// Register adds the API to mux: its services behind authentication, each for those whom it is for, gRPC health and
// reflection in front of it.
func Register(mux *http.ServeMux, c Config) {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxRequestBytes),
		connect.WithCompressMinBytes(CompressFrom),
		connect.WithInterceptors(
			c.Metrics,
			errorMapper{logger: c.Logger, transient: c.Transient},
			validator{},
		),
		connect.WithRecover(func(ctx context.Context, spec connect.Spec, _ http.Header, panicked any) error {
			c.Logger.ErrorContext(ctx, "call panicked", "procedure", spec.Procedure, "panic", panicked)
			return connect.NewError(connect.CodeInternal, errInternal)
		}),
	}
	crossOrigin := newCORS(c.AllowedOrigins)
	handle := func(path string, handler http.Handler) {
		mux.Handle(path, crossOrigin.Handler(withWriteTime(writeTime, handler)))
	}
	life := life{stopping: c.Stopping, alive: aliveEvery, limit: streamLimit}

	path, handler := coatcheckv1connect.NewUploadServiceHandler(&uploads{
		store: c.Store, objects: c.Objects, keys: c.Keys, limits: c.Limits, urlTTL: c.URLTTL, now: c.Now,
		watcher: c.Watcher, life: life,
	}, options...)
	handle(path, auth.Require(auth.Tenants(c.Authenticate), handler))
	path, handler = coatcheckv1connect.NewMediaServiceHandler(&medias{
		store: c.Store, objects: c.Objects, claimer: c.Claimer, downloadTTL: c.DownloadTTL,
	}, options...)
	handle(path, auth.Require(auth.Tenants(c.Authenticate), handler))
	services := []string{coatcheckv1connect.UploadServiceName, coatcheckv1connect.MediaServiceName}
	if c.Reconciles != nil && c.BeginReconcile != nil {
		path, handler = coatcheckv1connect.NewAdminServiceHandler(&admin{
			reconciles: c.Reconciles, begin: c.BeginReconcile, settings: c.ReconcileSettings, logger: c.Logger,
			overviews: c.Overviews, life: life, passes: c.Passes, sweeper: c.Sweeper, maySweep: c.MaySweep,
			finder: c.Finder, deadLetters: c.DeadLetters,
		}, options...)
		handle(path, auth.Require(auth.Operators(c.Authenticate), handler))
		services = append(services, coatcheckv1connect.AdminServiceName)
	}

	path, handler = grpchealth.NewHandler(health{services: services, ready: c.Ready})
	handle(path, handler)
	reflector := grpcreflect.NewStaticReflector(services...)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
}

// newCORS lets pages of the given origins call the API.
func newCORS(origins []string) *cors.Cors {
	options := cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", auth.OwnerHeader),
		ExposedHeaders: connectcors.ExposedHeaders(),
		MaxAge:         7200, // seconds; the most that Chromium honours
	}
	if len(origins) == 0 { // which the library takes for all
		options.AllowOriginFunc = func(string) bool { return false }
	}
	return cors.New(options)
}

// health answers the standard gRPC health service.
type health struct {
	services []string
	ready    func(context.Context) error
}

// Check implements [grpchealth.Checker].
func (h health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	known := req.Service == ""
	for _, s := range h.services {
		known = known || s == req.Service
	}
	if !known {
		return nil, connect.NewError(connect.CodeNotFound, errUnknownService)
	}
	if err := h.ready(ctx); err != nil {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
