package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times calls. It is an interceptor.
type Metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	streams *prometheus.GaugeVec
}

// NewMetrics registers the API's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_rpc_calls_total", Help: "Calls answered, by procedure and code.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "coatcheck_rpc_seconds", Help: "Time from a call's decoded request to its answer; without streams.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"procedure"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "coatcheck_rpc_streams", Help: "Streams that are being served.",
		}, []string{"procedure"}),
	}
	reg.MustRegister(m.calls, m.seconds, m.streams)
	return m
}

// WrapUnary implements [connect.Interceptor].
func (m *Metrics) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		answer, err := next(ctx, req)
		m.ended(req.Spec().Procedure, err)
		m.seconds.WithLabelValues(req.Spec().Procedure).Observe(time.Since(began).Seconds())
		return answer, err
	}
}

// WrapStreamingHandler implements [connect.Interceptor].
func (m *Metrics) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		streams := m.streams.WithLabelValues(conn.Spec().Procedure)
		streams.Inc()
		defer streams.Dec()
		err := next(ctx, conn)
		m.ended(conn.Spec().Procedure, err)
		return err
	}
}

// WrapStreamingClient implements [connect.Interceptor].
func (m *Metrics) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (m *Metrics) ended(procedure string, err error) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	m.calls.WithLabelValues(procedure, code).Inc()
}
