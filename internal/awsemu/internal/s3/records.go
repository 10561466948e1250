package s3

import (
	"maps"
	"slices"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// Record is one change in the journal. Exactly the fields of its kind are set. The messages about a change are
// part of its record: either both survive or neither.
type Record struct {
	Kind      string            `json:"kind"`
	Bucket    string            `json:"bucket,omitempty"`
	Key       string            `json:"key,omitempty"`
	Version   *version          `json:"version,omitempty"`
	VersionID string            `json:"versionId,omitempty"`
	Seq       uint64            `json:"seq,omitempty"`
	Upload    string            `json:"upload,omitempty"`
	Start     *upload           `json:"start,omitempty"`
	Part      *part             `json:"part,omitempty"`
	Name      string            `json:"name,omitempty"` // of a configuration
	Value     string            `json:"value,omitempty"`
	At        time.Time         `json:"at,omitzero"`
	Notify    []notify.Delivery `json:"notify,omitempty"`
}

// The kinds of records.
const (
	kindCreate = "create"
	kindDelete = "delete"
	kindConfig = "config"
	kindPut    = "put"
	kindDrop   = "drop"
	kindTags   = "tags"
	kindUpload = "upload"
	kindPart   = "part"
	kindAbort  = "abort"
	kindSeq    = "seq"
)

// line is how a record stands in the journal, beside the queues' records.
type line struct {
	S3 *Record `json:"s3"`
}

// record writes r to the journal. The caller holds the lock of what it describes.
func (s *Service) record(r Record) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Append(line{&r})
}

// Replay makes a recorded change again; inject receives the messages about it.
func (s *Service) Replay(r *Record, inject func(notify.Delivery)) error {
	s.seen(r)
	for _, d := range r.Notify {
		inject(d)
	}
	switch r.Kind {
	case kindSeq:
		return nil
	case kindCreate:
		s.buckets[r.Bucket] = newBucket(r.Bucket, r.At)
		return nil
	case kindDelete:
		delete(s.buckets, r.Bucket)
		return nil
	}
	b := s.buckets[r.Bucket]
	if b == nil {
		return nil
	}
	switch r.Kind {
	case kindConfig:
		return b.configure(r.Name, r.Value)
	case kindPut:
		b.put(r.Key, r.Version)
		b.uploads.Delete(uploadKey(r.Key, r.Upload))
	case kindDrop:
		b.drop(r.Key, r.VersionID)
	case kindTags:
		b.replace(r.Key, r.Version)
	case kindUpload:
		if r.Start.Parts == nil {
			r.Start.Parts = map[int]*part{}
		}
		b.uploads.Set(uploadKey(r.Start.Key, r.Start.ID), r.Start)
	case kindPart:
		if u, err := b.upload(r.Key, r.Upload); err == nil {
			u.Parts[r.Part.Number] = r.Part
		}
	case kindAbort:
		b.uploads.Delete(uploadKey(r.Key, r.Upload))
	}
	return nil
}

// seen keeps the sequencer above everything that was ever given out.
func (s *Service) seen(r *Record) {
	seq := r.Seq
	if r.Version != nil {
		seq = max(seq, r.Version.Seq)
	}
	s.seq.Store(max(s.seq.Load(), seq))
}

// Snapshot writes the records that make the present state out of nothing.
func (s *Service) Snapshot(write func(v any) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := write(line{&Record{Kind: kindSeq, Seq: s.seq.Load()}}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		if err := s.buckets[name].snapshot(write); err != nil {
			return err
		}
	}
	return nil
}

func (b *bucket) snapshot(write func(v any) error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := write(line{&Record{Kind: kindCreate, Bucket: b.name, At: b.created}}); err != nil {
		return err
	}
	for c := b.objects.Seek(""); c.Valid(); c.Next() {
		for _, v := range c.Value().versions {
			if err := write(line{&Record{Kind: kindPut, Bucket: b.name, Key: c.Key(), Version: v}}); err != nil {
				return err
			}
		}
	}
	for c := b.uploads.Seek(""); c.Valid(); c.Next() {
		if err := write(line{&Record{Kind: kindUpload, Bucket: b.name, Start: c.Value()}}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.configs)) {
		if err := write(line{&Record{Kind: kindConfig, Bucket: b.name, Name: name, Value: b.configs[name]}}); err != nil {
			return err
		}
	}
	return nil
}

// Bodies names every file that an object or a part has its bytes in.
func (s *Service) Bodies() map[string]struct{} {
	out := map[string]struct{}{}
	for _, b := range s.buckets {
		for c := b.objects.Seek(""); c.Valid(); c.Next() {
			for _, v := range c.Value().versions {
				for _, seg := range v.Segments {
					out[seg.Name] = struct{}{}
				}
			}
		}
		for c := b.uploads.Seek(""); c.Valid(); c.Next() {
			for _, seg := range c.Value().segments() {
				out[seg.Name] = struct{}{}
			}
		}
	}
	return out
}
