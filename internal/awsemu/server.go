package awsemu

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/fault"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/journal"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/s3"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sigv4"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sqs"
)

// Server is the emulator. It is an http.Handler and safe for concurrent use.
type Server struct {
	cfg      Config
	verifier *sigv4.Verifier
	s3       *s3.Service
	sqs      *sqs.Service
	faults   *Faults
	journal  *journal.Journal
	lock     *os.File

	requestID atomic.Uint64
	hostID    string
	counts    sync.Map // operation → *atomic.Int64
	closed    atomic.Bool
}

// New returns an emulator with the state that cfg.Dir holds, if any.
func New(cfg Config) (*Server, error) {
	virtual := cfg.Now != nil
	if !virtual {
		cfg.Now = time.Now
	}
	cfg.setDefaults()
	s := &Server{cfg: cfg, hostID: newHostID()}
	s.requestID.Store(seed())
	s.verifier = &sigv4.Verifier{AccessKeyID: cfg.AccessKeyID, SecretKey: cfg.SecretAccessKey, Region: cfg.Region, Now: cfg.Now}
	if err := s.lockDir(); err != nil {
		return nil, err
	}
	blobs, err := blob.Open(cfg.Dir)
	if err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	s.faults = newFaults()
	s.sqs = sqs.New(cfg.Region, cfg.AccountID, cfg.Now, virtual, &s.faults.entries)
	s.faults.notifications = notify.NewDispatcher(s.sqs.Inject)
	s.s3 = s3.New(s3.Config{
		Region: cfg.Region, Account: cfg.AccountID, Now: cfg.Now, Log: cfg.Logger, Blobs: blobs,
		Dispatcher: s.faults.notifications, QueueExists: s.sqs.Exists, KeyFaults: &s.faults.keys,
	})
	if err := s.restore(blobs); err != nil {
		return nil, errors.Join(err, s.unlock())
	}
	return s, nil
}

// Faults returns the faults on demand; all are off at first.
func (s *Server) Faults() *Faults { return s.faults }

// Counts returns how many requests there were of each operation, refused ones too.
func (s *Server) Counts() map[string]int64 {
	out := map[string]int64{}
	s.counts.Range(func(name, n any) bool {
		out[name.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return out
}

func (s *Server) count(operation string) {
	n, ok := s.counts.Load(operation)
	if !ok {
		n, _ = s.counts.LoadOrStore(operation, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// Close ends long polls, move tasks and delayed notifications, and closes the journal. Requests after it are
// answered 503. It does not wait for requests under way: stop the http.Server first, or last.
func (s *Server) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.sqs.Close()
	s.faults.notifications.Close()
	return errors.Join(s.journal.Close(), s.unlock())
}

// ServeHTTP answers one request: SQS's if it names an operation of it, else S3's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := fmt.Sprintf("%016X", s.requestID.Add(1))
	h := w.Header()
	h["X-Amz-Request-Id"] = []string{id}
	h["Server"] = []string{"coatcheck-awsemu"}
	if operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		s.serveSQS(w, r, operation, id)
		return
	}
	h["X-Amz-Id-2"] = []string{s.hostID}
	s.serveS3(s3.Route(w, r, id, s.hostID), w)
}

func (s *Server) serveS3(r *s3.Request, w http.ResponseWriter) {
	if r.Op != "" {
		s.count(r.Op)
	}
	s.s3.AllowOrigin(r)
	fail := func(err error) {
		drain(r.Request)
		r.WriteError(err)
	}
	if s.closed.Load() {
		fail(closing())
		return
	}
	effect, err := s.suffer(r.Request, r.Op, r.Key)
	if err == nil && r.Op != "Preflight" {
		var e *awserr.Error
		if r.Signed, e = s.verifier.Verify(r.Request, "s3", ""); e != nil {
			err = e
		}
	}
	if err == nil && effect.Cut == fault.CutAfter {
		s.thenCut(func(discard http.ResponseWriter) {
			r.Answer(discard)
			_ = s.s3.Serve(r) // nobody learns of it
		})
	}
	if err == nil {
		err = s.s3.Serve(r)
	}
	if err != nil {
		fail(err)
	}
}

// drain reads what is left of a body that is not too long, so that the client is still there to read the error.
// A client that waits to be told to go on is left waiting: it reads the error instead.
func drain(r *http.Request) {
	const most = 16 << 20
	if r.Header.Get("Expect") != "" || r.ContentLength > most {
		return
	}
	buf := make([]byte, 32<<10)
	for n := 0; n < most; {
		m, err := r.Body.Read(buf)
		if err != nil {
			return
		}
		n += m
	}
}

func closing() error {
	return awserr.New(http.StatusServiceUnavailable, "ServiceUnavailable", "The emulator is closing.")
}

func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
