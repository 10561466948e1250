package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/coatcheck/coatcheck/internal/overview"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// Overviews makes overviews.
type Overviews interface {
	Get(ctx context.Context) (*overview.Overview, error)
}

func (a *admin) GetOverview(ctx context.Context, _ *connect.Request[coatcheckv1.GetOverviewRequest]) (*connect.Response[coatcheckv1.GetOverviewResponse], error) {
	o, err := a.overviews.Get(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&coatcheckv1.GetOverviewResponse{Overview: overviewToProto(o)}), nil
}

func (a *admin) WatchOverview(ctx context.Context, _ *connect.Request[coatcheckv1.WatchOverviewRequest], stream *connect.ServerStream[coatcheckv1.WatchOverviewResponse]) error {
	again := time.NewTicker(overview.Every)
	defer again.Stop()
	var last *coatcheckv1.Overview
	return follow(ctx, a.life, again.C, func() (sent, over bool, err error) {
		o, err := a.overviews.Get(ctx)
		if err != nil {
			return false, false, err
		}
		p := overviewToProto(o)
		if last != nil {
			last.MadeAt = p.MadeAt // which alone is no news
		}
		if proto.Equal(last, p) {
			return false, false, nil
		}
		last = p
		return true, false, stream.Send(&coatcheckv1.WatchOverviewResponse{Overview: p})
	}, func() error { return stream.Send(&coatcheckv1.WatchOverviewResponse{}) })
}

var ages = map[overview.Age]coatcheckv1.Age{
	overview.AgeHour:  coatcheckv1.Age_AGE_HOUR,
	overview.AgeDay:   coatcheckv1.Age_AGE_DAY,
	overview.AgeWeek:  coatcheckv1.Age_AGE_WEEK,
	overview.AgeMonth: coatcheckv1.Age_AGE_MONTH,
	overview.AgeOlder: coatcheckv1.Age_AGE_OLDER,
}

func overviewToProto(o *overview.Overview) *coatcheckv1.Overview {
	p := &coatcheckv1.Overview{
		MadeAt: timestamp(o.MadeAt), SweptAt: timestamp(o.SweptAt), Strays: o.Found.Strays, StrayBytes: o.Found.StrayBytes, Missing: o.Found.Missing,
	}
	for _, b := range o.Backlog {
		p.Backlog = append(p.Backlog, &coatcheckv1.Backlog{
			State: states[b.State], Media: b.Media, Overdue: b.Overdue, OldestOverdue: duration(b.Oldest),
		})
	}
	if q := o.Queue; q != nil {
		p.Queue = &coatcheckv1.QueueDepth{Waiting: q.Waiting, InFlight: q.InFlight, DeadLetters: q.DeadLetters, HasDeadLetterQueue: q.HasDeadLetterQueue}
	}
	if o.LastSweep != nil {
		p.LastSweep = passToProto(*o.LastSweep)
	}
	if o.LastReconcile != nil {
		p.LastReconcile = runToProto(o.LastReconcile)
	}
	if o.Counts != nil {
		countsToProto(o.Counts, p)
	}
	return p
}

func countsToProto(c *overview.Counts, p *coatcheckv1.Overview) {
	p.CountedAt, p.CountingTook = timestamp(c.CountedAt), durationpb.New(c.Took)
	p.LandingP50, p.LandingP99 = duration(c.LandingP50), duration(c.LandingP99)
	for _, m := range c.Media {
		p.Media = append(p.Media, &coatcheckv1.MediaCount{
			State: states[m.State], DeleteReason: deleteReasons[m.Reason], Age: ages[m.Age], Media: m.Media, Bytes: m.Bytes,
		})
	}
	for _, h := range c.Funnel {
		p.Funnel = append(p.Funnel, &coatcheckv1.FunnelHour{
			Start: timestamp(h.Start), Presigned: h.Presigned, Landed: h.Landed, Confirmed: h.Confirmed,
			NeverUploaded: h.NeverUploaded, Unclaimed: h.Unclaimed,
		})
	}
	for _, l := range c.Landings {
		p.Landings = append(p.Landings, &coatcheckv1.LandingCount{Source: landingSources[l.Source], Media: l.Media, Unnotified: l.Unnotified})
	}
}

// duration is none when it is zero.
func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
