package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// roundTrip is what the delayed endpoint adds to every call.
const roundTrip = 10 * time.Millisecond

// serveAWS is the process that S3 and SQS are. It prints three URLs of the same: a plain one, one that answers later, and one
// for the benchmark's own requests to SQS, which are not counted.
func serveAWS(ctx context.Context, _ []string, out io.Writer) error {
	ctx, cancel := rig.UntilOrphaned(ctx)
	defer cancel()
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		return err
	}
	defer emulator.Close()
	clock := &callClock{open: make(chan struct{})}
	apart := &uncounted{Server: emulator}
	failed := make(chan error, 3)
	var urls []string
	for _, handler := range []http.Handler{
		apart.counts(clock.around(&rig.Slow{Handler: emulator})), clock.around(&rig.Slow{Handler: emulator, By: roundTrip}), apart,
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		urls = append(urls, "http://"+listener.Addr().String())
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() { failed <- server.Serve(listener) }()
		defer server.Close()
	}
	if _, err := fmt.Fprintln(out, strings.Join(urls, " ")); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// calls is what a process has asked of SQS since it was looked at last.
type calls struct {
	// Took is the time from the beginning of the first receive to the end of the last deletion.
	Took              time.Duration
	Receives, Deletes int
}

// callClock takes the time of consumers where it costs them nothing, and by one measure for all: at their queue.
type callClock struct {
	mu          sync.Mutex
	first, last time.Time
	calls       calls
	missing     int           // receives that are yet to come before any is answered
	open        chan struct{} // closed when all are there
}

// clockPath is where the clock is read and set back. With ?gate=16 no receive is answered from then on until as many are
// there, which is when time begins: so that several processes begin together, however long each took to start.
const clockPath = "/-/calls"

func (c *callClock) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == clockPath {
			gate, _ := strconv.Atoi(r.URL.Query().Get("gate"))
			_ = json.NewEncoder(w).Encode(c.take(gate))
			return
		}
		operation := r.Header.Get("X-Amz-Target")
		if strings.HasSuffix(operation, ".ReceiveMessage") {
			c.receive(r.Context())
		}
		next.ServeHTTP(w, r)
		if strings.Contains(operation, ".DeleteMessage") {
			c.mu.Lock()
			c.calls.Deletes++
			c.last = time.Now()
			c.mu.Unlock()
		}
	})
}

func (c *callClock) receive(ctx context.Context) {
	c.mu.Lock()
	c.missing--
	if c.calls.Receives++; c.missing <= 0 && c.first.IsZero() {
		c.first = time.Now()
		close(c.open)
	}
	open := c.open
	c.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
	}
}

func (c *callClock) take(gate int) calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.calls
	if !c.last.IsZero() {
		taken.Took = c.last.Sub(c.first)
	}
	if c.first.IsZero() { // nothing came, or not enough
		close(c.open)
	}
	c.calls, c.first, c.last = calls{}, time.Time{}, time.Time{}
	c.missing, c.open = gate, make(chan struct{})
	runtime.GC() // nobody is to pay for what another has left behind
	return taken
}

// countsPath is where it is told how many requests there were of each operation.
const countsPath = "/-/counts"

// uncounted takes requests to SQS that the counts do not tell.
type uncounted struct {
	*awsemu.Server
	mu    sync.Mutex
	asked map[string]int64
}

// ServeHTTP implements [http.Handler].
func (u *uncounted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	u.mu.Lock()
	if u.asked == nil {
		u.asked = map[string]int64{}
	}
	u.asked[operation]++
	u.mu.Unlock()
	u.Server.ServeHTTP(w, r)
}

// counts tells the others.
func (u *uncounted) counts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == countsPath {
			u.mu.Lock()
			defer u.mu.Unlock()
			_ = json.NewEncoder(w).Encode(since(u.asked, u.Server.Counts()))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// awsServer is the emulator in its process.
type awsServer struct {
	pid            int
	plain, delayed string // URLs
	apart          string // another, of what is not counted
	s3             *s3.Client
	sqs            *sqs.Client // what it is asked is not counted
}

// emulator returns S3 and SQS.
func (s *site) emulator(ctx context.Context) (*awsServer, error) {
	if s.aws != nil {
		return s.aws, nil
	}
	process, err := rig.StartSelf(ctx, "serve-aws")
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { process.Stop(); return nil })
	a := &awsServer{pid: process.PID}
	if _, err := fmt.Sscan(process.Ready, &a.plain, &a.delayed, &a.apart); err != nil {
		return nil, err
	}
	cfg, err := clientConfig(ctx, a.plain)
	if err != nil {
		return nil, err
	}
	apart, err := clientConfig(ctx, a.apart)
	if err != nil {
		return nil, err
	}
	a.s3, a.sqs = awsclient.S3(cfg), awsclient.SQS(apart)
	if _, err := a.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(rig.Bucket)}); err != nil {
		return nil, fmt.Errorf("making the bucket: %w", err)
	}
	s.aws = a
	return a, nil
}

// slow is the same with an S3 whose calls take longer.
func (a *awsServer) slow(ctx context.Context) (*awsServer, error) {
	cfg, err := clientConfig(ctx, a.delayed)
	if err != nil {
		return nil, err
	}
	slow := *a
	slow.s3 = awsclient.S3(cfg)
	return &slow, nil
}

// clientConfig is that of clients as the product makes them.
func clientConfig(ctx context.Context, endpoint string) (aws.Config, error) {
	return awsclient.Load(ctx, awsclient.Config{
		Region: "us-east-1", Endpoint: endpoint, AccessKeyID: "test", SecretAccessKey: "test",
	})
}

// calls reads the clock and sets it back, with a gate for so many receives.
func (a *awsServer) calls(gate int) (calls, error) {
	var c calls
	answer, err := http.Get(fmt.Sprintf("%s%s?gate=%d", a.plain, clockPath, gate))
	if err != nil {
		return c, err
	}
	defer answer.Body.Close()
	return c, json.NewDecoder(answer.Body).Decode(&c)
}

// counts is how many requests there were of each operation so far.
func (a *awsServer) counts() (map[string]int64, error) {
	answer, err := http.Get(a.plain + countsPath)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	counts := map[string]int64{}
	return counts, json.NewDecoder(answer.Body).Decode(&counts)
}

// since is how many of each there were since an earlier look.
func since(before, after map[string]int64) map[string]int64 {
	more := map[string]int64{}
	for operation, n := range after {
		if n > before[operation] {
			more[operation] = n - before[operation]
		}
	}
	return more
}
