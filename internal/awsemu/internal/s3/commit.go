package s3

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// pending counts the conditional writes to a key that are under way, and the deletions since the first began.
type pending struct{ writes, deletions int }

// condition is what a write asks of the object that it would replace. See "How to prevent object overwrites with
// conditional writes" in the user guide.
type condition struct {
	ifAbsent  bool   // If-None-Match: *
	ifMatch   string // If-Match: an ETag without quotes, or empty
	deletions int    // that pending had seen when the write began
}

func (r *Request) condition() (condition, error) {
	var c condition
	if v := r.Header.Get("If-None-Match"); v != "" {
		if v != "*" {
			return c, notImplemented("A header you provided implies functionality that is not implemented")
		}
		c.ifAbsent = true
	}
	if v := r.Header.Get("If-Match"); v != "" {
		if v == "*" || c.ifAbsent {
			return c, notImplemented("A header you provided implies functionality that is not implemented")
		}
		c.ifMatch = strings.Trim(v, `"`)
	}
	return c, nil
}

func (c *condition) set() bool { return c.ifAbsent || c.ifMatch != "" }

func failed(name string) error {
	return awserr.New(http.StatusPreconditionFailed, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold", awserr.Detail{Name: "Condition", Value: name})
}

// check holds the condition against what is stored. The caller holds b.mu.
func (c *condition) check(b *bucket, key string) error {
	if !c.set() {
		return nil
	}
	e, _ := b.objects.Get(key)
	v := e.live()
	switch {
	case c.ifAbsent && v != nil:
		return failed("If-None-Match")
	case c.ifMatch != "" && v == nil:
		return noSuchKey(key)
	case c.ifMatch != "" && v.ETag != c.ifMatch:
		return failed("If-Match")
	}
	return nil
}

// begin checks the condition before the body is read, and from then on watches the key for deletions: a
// conditional write that a deletion has crossed is answered with a conflict.
func (c *condition) begin(b *bucket, key string) error {
	if !c.set() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.check(b, key); err != nil {
		return err
	}
	p := b.pending[key]
	if p == nil {
		p = &pending{}
		b.pending[key] = p
	}
	p.writes++
	c.deletions = p.deletions
	return nil
}

// end undoes a begin that succeeded.
func (c *condition) end(b *bucket, key string) {
	if !c.set() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pending[key]; p != nil {
		if p.writes--; p.writes == 0 {
			delete(b.pending, key)
		}
	}
}

// crossed reports a deletion since begin. The caller holds b.mu.
func (c *condition) crossed(b *bucket, key string) error {
	if p := b.pending[key]; c.set() && p != nil && p.deletions != c.deletions {
		return awserr.New(http.StatusConflict, "ConditionalRequestConflict",
			"The conditional request cannot succeed due to a conflicting operation against this resource.")
	}
	return nil
}

// commit is the instant at which an object appears: condition, journal, index and notification in one step.
// It sets v's id and number. uploadID is the multipart upload that ends with it, if any.
func (s *Service) commit(b *bucket, r *Request, v *version, c *condition, event, uploadID string) error {
	b.mu.Lock()
	replaced, deliveries, err := s.commitLocked(b, r, v, c, event, uploadID)
	versioned := b.versioning != ""
	b.mu.Unlock()
	if err != nil {
		s.removeBodies(v)
		return err
	}
	if versioned {
		r.w.Header()["X-Amz-Version-Id"] = []string{v.ID}
	}
	s.Dispatcher.Send(deliveries)
	s.removeBodies(replaced)
	return nil
}

func (s *Service) commitLocked(b *bucket, r *Request, v *version, c *condition, event, uploadID string) (*version, []notify.Delivery, error) {
	if b.gone {
		return nil, nil, noSuchBucket(b.name)
	}
	if err := c.crossed(b, r.Key); err != nil {
		return nil, nil, err
	}
	if err := c.check(b, r.Key); err != nil {
		return nil, nil, err
	}
	v.ID = nullVersion
	if b.versioning == enabled {
		v.ID = newVersionID()
	}
	v.Modified = s.Now().UTC()
	v.Seq = s.nextSeq(v.Modified)
	deliveries := s.Dispatcher.Plan(s.events(b, r, r.Key, v, event))
	err := s.record(Record{Kind: kindPut, Bucket: b.name, Key: r.Key, Version: v, Upload: uploadID, Notify: deliveries})
	if err != nil {
		return nil, nil, err
	}
	if uploadID != "" {
		b.uploads.Delete(uploadKey(r.Key, uploadID))
	}
	return b.put(r.Key, v), deliveries, nil
}

// events makes the messages about one change. The caller holds b.mu.
func (s *Service) events(b *bucket, r *Request, key string, v *version, name string) []notify.Delivery {
	if b.notifications == nil {
		return nil
	}
	var out []notify.Delivery
	for i := range b.notifications.Queues {
		q := &b.notifications.Queues[i]
		if !q.Wants(name, key) {
			continue
		}
		e := notify.Event{
			Name: name, Time: s.Now(), Region: s.Region, AccountID: s.Account, SourceIP: r.sourceIP(),
			RequestID: r.ID, HostID: r.HostID, Bucket: b.name, Owner: s.owner,
			Key: key, Size: v.Size, ETag: v.ETag, Sequencer: v.Seq,
		}
		if b.versioning != "" && v.ID != nullVersion {
			e.VersionID = v.ID
		}
		out = append(out, notify.Delivery{QueueARN: q.Queue, ID: notify.NewID(), Body: e.Message(q.ID), Sent: s.Now()})
	}
	return out
}

func (r *Request) sourceIP() string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return "127.0.0.1"
}

// removeBodies deletes the bytes of a version that nothing refers to any more. Failing to is only waste, which
// the next start clears away.
func (s *Service) removeBodies(v *version) {
	if v == nil {
		return
	}
	if err := s.Blobs.Remove(v.Segments); err != nil {
		s.Log.Warn("removing an object's body", "error", err)
	}
}

// quoted is an ETag as headers have it.
func quoted(etag string) string { return `"` + etag + `"` }

func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
