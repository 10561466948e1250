// Package s3 is an emulation of Amazon S3's general purpose buckets over its REST protocol.
//
// Source: the Amazon S3 API reference and user guide; a function's comment names the page where a rule is not
// obvious.
package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/fault"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/journal"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/ordered"
)

// Config is what a Service needs from outside.
type Config struct {
	Region      string
	Account     string
	Now         func() time.Time
	Log         *slog.Logger
	Blobs       *blob.Store
	Dispatcher  *notify.Dispatcher
	QueueExists func(arn string) bool
	KeyFaults   *fault.Rules // of single keys in DeleteObjects
}

// Service holds every bucket of one account in one region. It is safe for concurrent use.
type Service struct {
	Config

	owner   string // canonical id
	journal *journal.Journal
	seq     atomic.Uint64 // the last sequencer given

	mu      sync.RWMutex
	buckets map[string]*bucket
}

// bucket is guarded by its mu. Lock order: the service's, then one bucket's; a bucket's lock is held for the
// length of a look-up or of one journal line, never while a body is read or written.
type bucket struct {
	name    string
	created time.Time

	mu            sync.RWMutex
	gone          bool
	versioning    string // "", enabled or suspended
	objects       ordered.Map[*entry]
	uploads       ordered.Map[*upload] // by key and then id
	configs       map[string]string    // what was put, by subresource
	cors          *corsConfiguration
	notifications *notify.Configuration
	pending       map[string]*pending // conditional writes under way, by key
}

// The states of versioning, as the API spells them; a bucket starts without either.
const (
	enabled   = "Enabled"
	suspended = "Suspended"
)

// New returns a service without buckets.
func New(c Config) *Service {
	sum := sha256.Sum256([]byte("owner " + c.Account))
	return &Service{Config: c, owner: hex.EncodeToString(sum[:]), buckets: map[string]*bucket{}}
}

// Keep makes every change from now on go through j.
func (s *Service) Keep(j *journal.Journal) { s.journal = j }

// nextSeq returns a sequence number above all before it: the time in nanoseconds, unless the clock has not moved
// on or was set back.
func (s *Service) nextSeq(now time.Time) uint64 {
	for {
		last := s.seq.Load()
		next := max(last+1, uint64(max(now.UnixNano(), 0))) //nolint:gosec // not negative
		if s.seq.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (s *Service) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	b := s.buckets[name]
	s.mu.RUnlock()
	if b == nil {
		return nil, noSuchBucket(name)
	}
	return b, nil
}

func newBucket(name string, created time.Time) *bucket {
	return &bucket{name: name, created: created, configs: map[string]string{}, pending: map[string]*pending{}}
}

func noSuchBucket(name string) error {
	return awserr.New(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist", awserr.Detail{Name: "BucketName", Value: name})
}

func noSuchKey(key string) error {
	return awserr.New(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", awserr.Detail{Name: "Key", Value: key})
}

func bad(code, message string) error { return awserr.New(http.StatusBadRequest, code, message) }

func malformedXML() error {
	return bad("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func notImplemented(message string) error {
	return awserr.New(http.StatusNotImplemented, "NotImplemented", message)
}
