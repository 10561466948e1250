package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/sweep"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// Passes keeps the passes of the sweepers.
type Passes interface {
	// Passes returns the newest passes that did anything, newest first.
	Passes(ctx context.Context, limit int) ([]sweep.Pass, error)
}

// Sweeper makes passes.
type Sweeper interface {
	// Ask makes one of at most a time, or tells what it would do.
	Ask(ctx context.Context, limit time.Duration, dryRun bool) sweep.Pass
}

// sweepTime is how long a pass takes at most that an operator asks for.
const sweepTime = 30 * time.Second

func (a *admin) RunSweep(ctx context.Context, req *connect.Request[coatcheckv1.RunSweepRequest]) (*connect.Response[coatcheckv1.RunSweepResponse], error) {
	if !a.maySweep && !req.Msg.GetDryRun() {
		return nil, notSetUp("this process has no sweeper role (--roles): ask one that has, ask for a dry run, or leave it to the schedule")
	}
	// The process may want to stop before it ends.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-a.life.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	p := a.sweeper.Ask(ctx, sweepTime, req.Msg.GetDryRun())
	a.logger.InfoContext(ctx, "sweep asked for by an operator", "dry_run", p.DryRun, "done", p.Result, "error", p.Error, "token", auth.From(ctx).Token)
	return connect.NewResponse(&coatcheckv1.RunSweepResponse{Sweep: passToProto(p)}), nil
}

func (a *admin) ListSweeps(ctx context.Context, req *connect.Request[coatcheckv1.ListSweepsRequest]) (*connect.Response[coatcheckv1.ListSweepsResponse], error) {
	passes, err := a.passes.Passes(ctx, limit(req.Msg))
	if err != nil {
		return nil, err
	}
	answer := &coatcheckv1.ListSweepsResponse{Sweeps: make([]*coatcheckv1.Sweep, len(passes))}
	for i, p := range passes {
		answer.Sweeps[i] = passToProto(p)
	}
	return connect.NewResponse(answer), nil
}

// limit is what a request says, or what it leaves to us.
func limit(req interface{ GetLimit() int32 }) int {
	if n := req.GetLimit(); n > 0 {
		return int(n)
	}
	return defaultLimit
}

func passToProto(p sweep.Pass) *coatcheckv1.Sweep {
	return &coatcheckv1.Sweep{
		StartedAt: timestamp(p.StartedAt), FinishedAt: timestamp(p.FinishedAt), DryRun: p.DryRun, AskedFor: p.AskedFor,
		Landed: int64(p.Landed), Rejected: int64(p.Rejected), NeverUploaded: int64(p.NeverUploaded), Unclaimed: int64(p.Unclaimed),
		Deleted: int64(p.Deleted), DeletedBytes: p.DeletedBytes, Failed: int64(p.HeadErrors + p.DeleteErrors), Purged: int64(p.Purged),
		Incomplete: p.Incomplete, Error: p.Error,
	}
}

// notSetUp refuses what this process cannot do as it is set up.
func notSetUp(message string) *connect.Error {
	answer := connect.NewError(connect.CodeFailedPrecondition, errors.New(message))
	info := &coatcheckv1.ErrorInfo{Reason: coatcheckv1.ErrorReason_ERROR_REASON_NOT_SET_UP, Message: message}
	if detail, err := connect.NewErrorDetail(info); err == nil {
		answer.AddDetail(detail)
	}
	return answer
}
