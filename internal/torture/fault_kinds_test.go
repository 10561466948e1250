package torture

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// faultKind is one thing that goes wrong for a while.
type faultKind struct {
	name string
	// fate is what becomes of an effect, and whether that is a fault; nil: the proxies pass everything on.
	fate func(r *rand.Rand, e proxyEffect) (proxyFate, bool)
	// during begins what the proxies do not do, and returns what counts its faults and what ends it.
	during func(s *faultSite) (count func() int, end func())
	// until is a counter that must have grown before the fault ends: the process shows that it backs off.
	until string
}

// faultHTTP is a fate for a part of the requests to a server.
func faultHTTP(server string, odds float64, fates ...proxyFate) func(*rand.Rand, proxyEffect) (proxyFate, bool) {
	return func(r *rand.Rand, e proxyEffect) (proxyFate, bool) {
		if e.Server != server || r.Float64() >= odds {
			return proxyFate{}, false
		}
		return fates[r.IntN(len(fates))], true
	}
}

// faultRefused is AccessDenied for one operation, which the SDK does not try again.
func faultRefused(operation string) func(*rand.Rand, proxyEffect) (proxyFate, bool) {
	return func(_ *rand.Rand, e proxyEffect) (proxyFate, bool) {
		if e.Name != operation {
			return proxyFate{}, false
		}
		return proxyFate{Status: http.StatusForbidden, Code: "AccessDenied"}, true
	}
}

// faultListing is what may become of a page of a listing.
func faultListing(odds float64, fates ...proxyFate) func(*rand.Rand, proxyEffect) (proxyFate, bool) {
	return func(r *rand.Rand, e proxyEffect) (proxyFate, bool) {
		if e.Name != "ListObjectsV2" || r.Float64() >= odds {
			return proxyFate{}, false
		}
		return fates[r.IntN(len(fates))], true
	}
}

// faultSlow delays a part of what goes to a server by up to a limit.
func faultSlow(server string, limit time.Duration) func(*rand.Rand, proxyEffect) (proxyFate, bool) {
	return func(r *rand.Rand, e proxyEffect) (proxyFate, bool) {
		if e.Server != server || r.IntN(2) == 0 {
			return proxyFate{}, false
		}
		return proxyFate{Delay: rand.N(limit)}, true
	}
}

// faultDown is a fate for everything to some servers.
func faultDown(servers ...string) func(*rand.Rand, proxyEffect) (proxyFate, bool) {
	return func(_ *rand.Rand, e proxyEffect) (proxyFate, bool) {
		if !slices.Contains(servers, e.Server) {
			return proxyFate{}, false
		}
		return proxyFate{Cut: proxyBefore}, true
	}
}

var faultCuts = []proxyFate{{Cut: proxyBefore}, {Cut: proxyRequest}, {Cut: proxyAnswered}, {Cut: proxyAnswer}}

const (
	faultReceiveErrors = "coatcheck_consumer_receive_errors_total"
	faultRetries       = "coatcheck_consumer_retries_total"
	faultSweepErrors   = "coatcheck_sweep_delete_errors_total"
	faultHeadErrors    = `coatcheck_sweep_media_total{outcome="head_error"}`
	faultRuns          = `coatcheck_reconcile_runs_total{outcome="finished"}`
)

var faultKinds = []faultKind{
	{name: "S3 503 SlowDown", fate: faultHTTP("s3", .7, proxyFate{Status: http.StatusServiceUnavailable, Code: "SlowDown"})},
	{name: "S3 500", fate: faultHTTP("s3", .7, proxyFate{Status: http.StatusInternalServerError, Code: "InternalError"})},
	{name: "S3 cut", fate: faultHTTP("s3", .5, faultCuts...)},
	{name: "S3 slow", fate: faultSlow("s3", 600*time.Millisecond)},
	{name: "S3 DeleteObjects refused", fate: faultRefused("DeleteObjects"), until: faultSweepErrors},
	{name: "S3 HeadObject refused", fate: faultRefused("HeadObject"), until: faultHeadErrors},
	{name: "S3 ListObjectsV2 refused", fate: faultRefused("ListObjectsV2")},
	{name: "S3 ListObjectsV2 500, 503", fate: faultListing(.7,
		proxyFate{Status: http.StatusServiceUnavailable, Code: "SlowDown"}, proxyFate{Status: http.StatusInternalServerError, Code: "InternalError"})},
	{name: "S3 ListObjectsV2 cut", fate: faultListing(.7, faultCuts...)},
	{name: "SQS throttled", fate: faultHTTP("sqs", .8, proxyFate{Status: http.StatusBadRequest, Code: "ThrottlingException"})},
	{name: "SQS 500", fate: faultHTTP("sqs", .8, proxyFate{Status: http.StatusInternalServerError, Code: "InternalFailure"})},
	{name: "SQS cut", fate: faultHTTP("sqs", .5, faultCuts...)},
	{name: "SQS slow", fate: faultSlow("sqs", 600*time.Millisecond)},
	{name: "Postgres cut", fate: faultHTTP("postgres", .3, faultCuts...)},
	{name: "Postgres slow", fate: faultSlow("postgres", 300*time.Millisecond)},
	{name: "Postgres unreachable", fate: faultDown("postgres"), until: faultRetries},
	{name: "S3 and SQS unreachable", fate: faultDown("s3", "sqs"), until: faultReceiveErrors},
	{name: "connections closed while idle", during: faultIdle},
	{name: "DeleteObjects Errors", during: faultKeys, until: faultSweepErrors},
	{name: "DeleteMessageBatch Failed", during: faultEntries},
	{name: "Postgres connections terminated", during: faultTerminate},
	{name: "Postgres restarted", during: faultRestart},
	{name: "Postgres crashed", during: faultCrash},
}

// faultIdle closes connections behind the process's back, as servers and balancers do with those that were idle.
func faultIdle(s *faultSite) (count func() int, end func()) {
	n := 0
	for range 5 {
		s.w.http.front.CloseClientConnections()
		n += 1 + s.w.postgres.cutAll()
		time.Sleep(50 * time.Millisecond)
	}
	return func() int { return n }, func() {}
}

func faultKeys(s *faultSite) (count func() int, end func()) {
	before := s.metric(faultSweepErrors)
	s.w.emulator.Faults().FailKeys("media/", awsemu.Forever, "InternalError")
	return func() int { return int(s.metric(faultSweepErrors) - before) }, s.w.emulator.Faults().Clear
}

func faultEntries(s *faultSite) (count func() int, end func()) {
	const operation = "DeleteMessageBatch"
	s.w.emulator.Faults().FailEntries(awsemu.Match{Operation: operation}, awsemu.Forever, "InternalError", false)
	before := s.w.emulator.Counts()[operation]
	return func() int { return int(s.w.emulator.Counts()[operation] - before) }, s.w.emulator.Faults().Clear
}

// faultTerminate ends the process's connections at the server, in the middle of statements where there are any.
func faultTerminate(s *faultSite) (count func() int, end func()) {
	n := 0
	for range 5 {
		var ended int
		err := s.w.db.NewRaw(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'coatcheck'`).Scan(context.Background(), &ended)
		if err != nil {
			s.t.Errorf("terminating connections: %v", err)
		}
		n += ended
		time.Sleep(60 * time.Millisecond)
	}
	return func() int { return n }, func() {}
}

func faultRestart(s *faultSite) (count func() int, end func()) {
	s.restart(s.server.Restart)
	return func() int { return 1 }, func() {}
}

func faultCrash(s *faultSite) (count func() int, end func()) {
	s.restart(s.server.Crash)
	return func() int { return 1 }, func() {}
}
