package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what sweeps do.
type Metrics struct {
	passes       *prometheus.CounterVec
	media        *prometheus.CounterVec
	deleteErrors *prometheus.CounterVec
	seconds      prometheus.Histogram
	lastSuccess  prometheus.Gauge
}

// NewMetrics registers the sweeper's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_sweep_passes_total",
			Help: "Sweeps, by result: ok; partial, where some media failed or more was due than fitted; failed, where a step failed as a whole.",
		}, []string{"result"}),
		media: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_sweep_media_total",
			Help: "What sweeps did, by media. One that is expired and then deleted counts as both.",
		}, []string{"outcome"}),
		deleteErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coatcheck_sweep_delete_errors_total",
			Help: "Objects that could not be deleted, by S3's error code; timeout and no_answer are ours.",
		}, []string{"code"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coatcheck_sweep_seconds",
			Help:    "How long sweeps took.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 9), // 10 ms to 11 min
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coatcheck_sweep_last_success_timestamp_seconds",
			Help: "When a sweep of this process last ended without a step failing as a whole, in Unix time; 0 before the first.",
		}),
	}
	reg.MustRegister(m.passes, m.media, m.deleteErrors, m.seconds, m.lastSuccess)
	// A series that begins with its first error does not show as an increase.
	for _, result := range []string{"ok", "partial", "failed"} {
		m.passes.WithLabelValues(result)
	}
	for _, c := range (Result{}).counts() {
		m.media.WithLabelValues(c.outcome)
	}
	return m
}

// did counts a batch.
func (m *Metrics) did(r Result) {
	for _, c := range r.counts() {
		m.media.WithLabelValues(c.outcome).Add(float64(c.n))
	}
}

// passed counts a pass, whose batches are counted already.
func (m *Metrics) passed(r Result, err error, took time.Duration, now time.Time) {
	m.seconds.Observe(took.Seconds())
	switch {
	case err != nil:
		m.passes.WithLabelValues("failed").Inc()
		return
	case r.Incomplete || r.HeadErrors > 0 || r.DeleteErrors > 0:
		m.passes.WithLabelValues("partial").Inc()
	default:
		m.passes.WithLabelValues("ok").Inc()
	}
	m.lastSuccess.Set(float64(now.UnixMilli()) / 1000)
}

func (m *Metrics) deleteError(err error) { m.deleteErrors.WithLabelValues(errorCode(err)).Inc() }

// codes are the S3 error codes that get a series of their own. Others would let S3 choose how many series there are.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var codes = []string{
	"AccessDenied", "ExpiredToken", "InternalError", "InvalidAccessKeyId", "InvalidObjectState", "MalformedXML", "MethodNotAllowed",
	"NoSuchBucket", "OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "ServiceUnavailable",
	"SignatureDoesNotMatch", "SlowDown",
}

func errorCode(err error) string {
	// Whatever the adapter's errors are, S3's own have this method.
	if coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		if slices.Contains(codes, coded.ErrorCode()) {
			return coded.ErrorCode()
		}
		return "other"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	return "no_answer"
}
