package rpc

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// Reconciles keeps reconciliations, and what they found.
type Reconciles interface {
	// Active returns the run that is not done, and GetRun the one with an id; nil when there is none.
	Active(ctx context.Context) (*reconcile.Run, error)
	GetRun(ctx context.Context, id uuid.UUID) (*reconcile.Run, error)
	// Runs returns the newest runs, newest first.
	Runs(ctx context.Context, limit int) ([]*reconcile.Run, error)
	Strays(ctx context.Context, p reconcile.StrayPage) ([]reconcile.Stray, error)
	// Missing returns media whose object is missing, by id above after; of a run, when it is not zero.
	Missing(ctx context.Context, run, after uuid.UUID, limit int) ([]reconcile.Missing, error)
	// Findings returns findings of a run after the one with a number, and the number of the last of them.
	Findings(ctx context.Context, run uuid.UUID, after int64, limit int) (findings []reconcile.Finding, last int64, err error)
}

// BeginReconcile begins a run, on which others work. It is [reconcile.ErrActive] when one is not done.
type BeginReconcile func(ctx context.Context, s reconcile.Settings) (*reconcile.Run, error)

// beginTries is how often a run is to be begun while others end.
const beginTries = 3

// defaultLimit is how many of the newest a list has when the caller does not say.
const defaultLimit = 20

// admin implements AdminService. All who get here are operators.
type admin struct {
	reconciles  Reconciles
	begin       BeginReconcile
	settings    reconcile.Settings
	logger      *slog.Logger
	overviews   Overviews
	passes      Passes
	sweeper     Sweeper
	maySweep    bool
	finder      Finder
	deadLetters DeadLetters
	life        life
}

func (a *admin) StartReconcile(ctx context.Context, req *connect.Request[coatcheckv1.StartReconcileRequest]) (*connect.Response[coatcheckv1.StartReconcileResponse], error) {
	settings := with(a.settings, req.Msg)
	if settings.Policy == reconcile.PolicyQuarantine && settings.Quarantine == "" {
		return nil, media.Invalid("policy", "policy.quarantine", "this deployment has no quarantine prefix to move strays below")
	}
	for range beginTries {
		run, err := a.begin(ctx, settings)
		if err == nil {
			a.logger.InfoContext(ctx, "reconciliation begun by an operator", "run", run.ID, "token", auth.From(ctx).Token)
			return connect.NewResponse(&coatcheckv1.StartReconcileResponse{Reconcile: runToProto(run)}), nil
		}
		if !errors.Is(err, reconcile.ErrActive) {
			return nil, err
		}
		active, err := a.reconciles.Active(ctx)
		if err != nil {
			return nil, err
		}
		if active != nil {
			return nil, reconcileActive(active.ID)
		} // else it has ended meanwhile
	}
	return nil, reconcileActive(uuid.UUID{})
}

// with is the settings with what a request says.
func with(s reconcile.Settings, r *coatcheckv1.StartReconcileRequest) reconcile.Settings {
	if r.DryRun != nil {
		s.DryRun = r.GetDryRun()
	}
	for policy, known := range policies {
		if known == r.GetPolicy() {
			s.Policy = policy
		}
	}
	if r.GetGrace() != nil {
		s.Grace = r.GetGrace().AsDuration()
	}
	if r.MaxStrayShare != nil {
		s.MaxStrayShare = r.GetMaxStrayShare()
	}
	if r.DeleteBudget != nil {
		s.DeleteBudget = r.GetDeleteBudget()
	}
	return s
}

func (a *admin) GetReconcile(ctx context.Context, req *connect.Request[coatcheckv1.GetReconcileRequest]) (*connect.Response[coatcheckv1.GetReconcileResponse], error) {
	id := reconcileID(req.Msg)
	run, err := a.run(ctx, id)
	if err != nil {
		return nil, err
	}
	if run == nil {
		return nil, reconcileNotFound(id)
	}
	return connect.NewResponse(&coatcheckv1.GetReconcileResponse{Reconcile: runToProto(run)}), nil
}

// run returns the run with an id, or the newest when it is zero, or nil.
func (a *admin) run(ctx context.Context, id uuid.UUID) (*reconcile.Run, error) {
	if id != (uuid.UUID{}) {
		return a.reconciles.GetRun(ctx, id)
	}
	runs, err := a.reconciles.Runs(ctx, 1)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return runs[0], nil
}

func (a *admin) ListReconciles(ctx context.Context, req *connect.Request[coatcheckv1.ListReconcilesRequest]) (*connect.Response[coatcheckv1.ListReconcilesResponse], error) {
	runs, err := a.reconciles.Runs(ctx, limit(req.Msg))
	if err != nil {
		return nil, err
	}
	answer := &coatcheckv1.ListReconcilesResponse{Reconciles: make([]*coatcheckv1.Reconcile, len(runs))}
	for i, run := range runs {
		answer.Reconciles[i] = runToProto(run)
	}
	return connect.NewResponse(answer), nil
}

func (a *admin) ListStrays(ctx context.Context, req *connect.Request[coatcheckv1.ListStraysRequest]) (*connect.Response[coatcheckv1.ListStraysResponse], error) {
	page := reconcile.StrayPage{Removed: req.Msg.GetRemoved(), Run: reconcileID(req.Msg), Limit: pageSize(req.Msg)}
	if token := req.Msg.GetPageToken(); token != "" {
		key, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || !utf8.Valid(key) || strings.ContainsRune(string(key), 0) {
			return nil, errPageToken()
		}
		page.After = string(key)
	}
	strays, err := a.reconciles.Strays(ctx, page)
	if err != nil {
		return nil, err
	}
	if len(strays) == 0 && page.Run != (uuid.UUID{}) {
		if err := a.exists(ctx, page.Run); err != nil {
			return nil, err
		}
	}
	answer := &coatcheckv1.ListStraysResponse{Strays: make([]*coatcheckv1.Stray, len(strays))}
	for i := range strays {
		answer.Strays[i] = strayToProto(&strays[i])
	}
	if len(strays) == page.Limit {
		answer.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(strays[len(strays)-1].Key))
	}
	return connect.NewResponse(answer), nil
}

// exists refuses the id of a run that there is not: to say that nothing was found would be taken for good news.
func (a *admin) exists(ctx context.Context, id uuid.UUID) error {
	run, err := a.reconciles.GetRun(ctx, id)
	if err == nil && run == nil {
		return reconcileNotFound(id)
	}
	return err
}

func (a *admin) ListMissing(ctx context.Context, req *connect.Request[coatcheckv1.ListMissingRequest]) (*connect.Response[coatcheckv1.ListMissingResponse], error) {
	var after uuid.UUID
	if token := req.Msg.GetPageToken(); token != "" {
		var err error
		if after, err = parsePageToken(token); err != nil {
			return nil, errPageToken()
		}
	}
	limit := pageSize(req.Msg)
	missing, err := a.reconciles.Missing(ctx, uuid.UUID{}, after, limit)
	if err != nil {
		return nil, err
	}
	answer := &coatcheckv1.ListMissingResponse{Missing: make([]*coatcheckv1.Missing, len(missing))}
	for i := range missing {
		answer.Missing[i] = missingToProto(&missing[i])
	}
	if len(missing) == limit {
		answer.NextPageToken = pageToken(missing[len(missing)-1].Media.ID)
	}
	return connect.NewResponse(answer), nil
}

func (a *admin) ListFindings(ctx context.Context, req *connect.Request[coatcheckv1.ListFindingsRequest]) (*connect.Response[coatcheckv1.ListFindingsResponse], error) {
	var after int64
	if token := req.Msg.GetPageToken(); token != "" {
		var err error
		if after, err = strconv.ParseInt(token, 36, 64); err != nil {
			return nil, errPageToken()
		}
	}
	id, limit := reconcileID(req.Msg), pageSize(req.Msg)
	findings, last, err := a.reconciles.Findings(ctx, id, after, limit)
	if err != nil {
		return nil, err
	}
	if len(findings) == 0 {
		if err := a.exists(ctx, id); err != nil {
			return nil, err
		}
	}
	answer := &coatcheckv1.ListFindingsResponse{Findings: make([]*coatcheckv1.Finding, len(findings))}
	for i := range findings {
		answer.Findings[i] = findingToProto(&findings[i])
	}
	if len(findings) == limit {
		answer.NextPageToken = strconv.FormatInt(last, 36)
	}
	return connect.NewResponse(answer), nil
}

func pageSize(req interface{ GetPageSize() int32 }) int {
	if n := req.GetPageSize(); n > 0 {
		return int(n)
	}
	return defaultPageSize
}

func errPageToken() error {
	return media.Invalid("pageToken", "page_token.form", "must be a nextPageToken of an earlier answer, or empty")
}

// reconcileID reads the id of a request that has been validated, or zero when it has none.
func reconcileID(req interface{ GetReconcileId() string }) uuid.UUID {
	id, err := uuid.Parse(req.GetReconcileId())
	if err != nil {
		return uuid.UUID{}
	}
	return id
}
