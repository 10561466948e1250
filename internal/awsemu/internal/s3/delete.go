package s3

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// deletion is what became of one key.
type deletion struct {
	marker    bool   // a delete marker was made, or removed
	markerID  string // its version
	versionID string // the version that was removed, if one was named
}

// delete deletes a version for good, or a key: that makes a delete marker where the bucket is versioned. What
// is not there is deleted with success. ifMatch makes it conditional on the ETag, unless it is empty.
func (s *Service) delete(b *bucket, r *Request, key, versionID, ifMatch string) (deletion, error) {
	b.mu.Lock()
	out, removed, deliveries, err := s.deleteLocked(b, r, key, versionID, ifMatch)
	b.mu.Unlock()
	if err != nil {
		return deletion{}, err
	}
	s.Dispatcher.Send(deliveries)
	s.removeBodies(removed)
	return out, nil
}

func (s *Service) deleteLocked(b *bucket, r *Request, key, versionID, ifMatch string) (deletion, *version, []notify.Delivery, error) {
	if b.gone {
		return deletion{}, nil, nil, noSuchBucket(b.name)
	}
	e, _ := b.objects.Get(key)
	v := e.latest()
	if versionID != "" {
		v = e.find(versionID)
	}
	if ifMatch != "" && v != nil && !v.Marker && ifMatch != "*" && strings.Trim(ifMatch, `"`) != v.ETag {
		return deletion{}, nil, nil, failed("If-Match")
	}
	if versionID == "" && b.versioning != "" {
		return s.markLocked(b, r, key)
	}
	out := deletion{versionID: versionID}
	if v == nil {
		return out, nil, nil, nil
	}
	if v.Marker {
		out.marker, out.markerID = true, v.ID
	}
	gone := *v
	gone.Seq = s.nextSeq(s.Now())
	deliveries := s.Dispatcher.Plan(s.events(b, r, key, &gone, "ObjectRemoved:Delete"))
	if err := s.record(Record{Kind: kindDrop, Bucket: b.name, Key: key, VersionID: v.ID, Seq: gone.Seq, Notify: deliveries}); err != nil {
		return deletion{}, nil, nil, err
	}
	b.drop(key, v.ID)
	b.crossed(key)
	return out, v, deliveries, nil
}

// markLocked puts a delete marker on top of a key.
func (s *Service) markLocked(b *bucket, r *Request, key string) (deletion, *version, []notify.Delivery, error) {
	m := &version{ID: nullVersion, Marker: true, Modified: s.Now().UTC()}
	if b.versioning == enabled {
		m.ID = newVersionID()
	}
	m.Seq = s.nextSeq(m.Modified)
	deliveries := s.Dispatcher.Plan(s.events(b, r, key, m, "ObjectRemoved:DeleteMarkerCreated"))
	if err := s.record(Record{Kind: kindPut, Bucket: b.name, Key: key, Version: m, Notify: deliveries}); err != nil {
		return deletion{}, nil, nil, err
	}
	replaced := b.put(key, m)
	b.crossed(key)
	return deletion{marker: true, markerID: m.ID}, replaced, deliveries, nil
}

// crossed tells conditional writes under way that the key was deleted.
func (b *bucket) crossed(key string) {
	if p := b.pending[key]; p != nil {
		p.deletions++
	}
}

func (s *Service) deleteObject(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	d, err := s.delete(b, r, r.Key, r.query.Get("versionId"), r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	h := r.w.Header()
	if d.marker {
		h.Set("X-Amz-Delete-Marker", "true")
		h.Set("X-Amz-Version-Id", d.markerID)
	} else if d.versionID != "" {
		h.Set("X-Amz-Version-Id", d.versionID)
	}
	return r.answer(http.StatusNoContent)
}

// maxDelete is how many keys one DeleteObjects takes.
const maxDelete = 1000

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key       string `xml:"Key"`
		VersionID string `xml:"VersionId"`
		ETag      string `xml:"ETag"`
	} `xml:"Object"`
}

func (s *Service) deleteObjects(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	in, err := r.deleteRequest()
	if err != nil {
		return err
	}
	var x xmlWriter
	x.root("DeleteResult")
	for _, o := range in.Objects {
		var d deletion
		err := s.keyFault(o.Key)
		if err == nil {
			d, err = s.delete(b, r, o.Key, o.VersionID, o.ETag)
		}
		var e *awserr.Error
		switch {
		case errors.As(err, &e):
			x.open("Error")
			x.text("Key", o.Key)
			x.optional("VersionId", o.VersionID)
			x.text("Code", e.Code)
			x.text("Message", e.Message)
			x.close("Error")
		case err != nil:
			return err
		case !in.Quiet:
			x.open("Deleted")
			x.text("Key", o.Key)
			x.optional("VersionId", o.VersionID)
			if d.marker {
				x.flag("DeleteMarker", true)
				x.text("DeleteMarkerVersionId", d.markerID)
			}
			x.close("Deleted")
		}
	}
	x.close("DeleteResult")
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (r *Request) deleteRequest() (*deleteRequest, error) {
	hasSum := r.Header.Get("Content-Md5") != "" || r.Header.Get("X-Amz-Trailer") != ""
	for name := range r.Header {
		hasSum = hasSum || strings.HasPrefix(name, "X-Amz-Checksum-")
	}
	if !hasSum {
		return nil, bad("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	data, err := r.small(8 << 20)
	if err != nil {
		return nil, err
	}
	var in deleteRequest
	if xml.Unmarshal(data, &in) != nil || len(in.Objects) == 0 || len(in.Objects) > maxDelete {
		return nil, malformedXML()
	}
	for _, o := range in.Objects {
		if o.Key == "" {
			return nil, bad("UserKeyMustBeSpecified", "User key must have a length greater than 0.")
		}
	}
	return &in, nil
}

// keyFault is the failure that was asked for in a key of DeleteObjects, if any.
func (s *Service) keyFault(key string) error {
	e, ok := s.KeyFaults.Take("DeleteObjects", key)
	if !ok {
		return nil
	}
	return awserr.New(http.StatusInternalServerError, e.Code, "A fault that was asked for.")
}
