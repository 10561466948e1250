package s3

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
)

const (
	maxParts = 10_000
	// minPart is the least size of every part but the last, in bytes.
	minPart = 5 << 20
)

// upload is a multipart upload under way; its parts are guarded by the bucket's lock.
type upload struct {
	ID      string             `json:"id"`
	Key     string             `json:"key"`
	Started time.Time          `json:"started"`
	Headers map[string]string  `json:"headers,omitempty"`
	Tags    []tag              `json:"tags,omitempty"`
	Algo    checksum.Algorithm `json:"algo"`
	SumType string             `json:"sumType"`
	Asked   bool               `json:"asked,omitempty"` // the algorithm was named by the client
	Parts   map[int]*part      `json:"parts,omitempty"`

	completing bool
}

type part struct {
	Number   int          `json:"number"`
	Segment  blob.Segment `json:"segment"`
	ETag     string       `json:"etag"`
	Sum      string       `json:"sum"`
	Modified time.Time    `json:"modified"`
}

// uploadKey orders uploads by key and then by id; ids rise with time.
func uploadKey(key, id string) string { return key + "\x00" + id }

func (b *bucket) upload(key, id string) (*upload, error) {
	u, ok := b.uploads.Get(uploadKey(key, id))
	if !ok {
		return nil, awserr.New(http.StatusNotFound, "NoSuchUpload",
			"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
			awserr.Detail{Name: "UploadId", Value: id})
	}
	return u, nil
}

func (u *upload) segments() []blob.Segment {
	out := make([]blob.Segment, 0, len(u.Parts))
	for _, p := range u.Parts {
		out = append(out, p.Segment)
	}
	return out
}

// sumKind settles the algorithm and type of an upload's checksum; see "Checking object integrity": the SHAs are
// composite, CRC64NVME is of the full object, the other CRCs can be either.
func (r *Request) sumKind() (algo checksum.Algorithm, kind string, asked bool, err error) {
	name, kind := r.Header.Get("X-Amz-Checksum-Algorithm"), strings.ToUpper(r.Header.Get("X-Amz-Checksum-Type"))
	if name == "" {
		if kind != "" {
			return "", "", false, bad("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return checksum.CRC64NVME, fullObject, false, nil
	}
	algo, ok := checksum.Parse(name)
	if !ok {
		return "", "", false, bad("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	if kind == "" {
		kind = composite
		if algo == checksum.CRC64NVME {
			kind = fullObject
		}
	}
	if kind != composite && kind != fullObject || kind == fullObject && !algo.IsCRC() || kind == composite && algo == checksum.CRC64NVME {
		return "", "", false, bad("InvalidRequest", "The "+kind+" checksum type cannot be used with the "+string(algo)+" checksum algorithm.")
	}
	return algo, kind, true, nil
}

func (s *Service) createUpload(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	u := &upload{Key: r.Key, Started: s.Now().UTC(), Parts: map[int]*part{}}
	if u.Headers, err = r.kept(); err != nil {
		return err
	}
	if u.Tags, err = parseTagHeader(r.Header.Get("X-Amz-Tagging")); err != nil {
		return err
	}
	if u.Algo, u.SumType, u.Asked, err = r.sumKind(); err != nil {
		return err
	}
	u.ID = fmt.Sprintf("%016X", s.nextSeq(u.Started)) + newVersionID()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return noSuchBucket(b.name)
	}
	if err := s.record(Record{Kind: kindUpload, Bucket: b.name, Start: u}); err != nil {
		return err
	}
	b.uploads.Set(uploadKey(u.Key, u.ID), u)
	if u.Asked {
		r.w.Header().Set("X-Amz-Checksum-Algorithm", string(u.Algo))
		r.w.Header().Set("X-Amz-Checksum-Type", u.SumType)
	}
	r.w.Header().Set("X-Amz-Server-Side-Encryption", "AES256")
	var x xmlWriter
	x.root("InitiateMultipartUploadResult")
	x.text("Bucket", b.name)
	x.text("Key", u.Key)
	x.text("UploadId", u.ID)
	x.close("InitiateMultipartUploadResult")
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (s *Service) uploadPart(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(r.query.Get("partNumber"))
	if err != nil || n < 1 || n > maxParts {
		return bad("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	b.mu.RLock()
	u, err := b.upload(r.Key, r.query.Get("uploadId"))
	b.mu.RUnlock()
	if err != nil {
		return err
	}
	in, err := r.body(u.Algo)
	if err != nil {
		return err
	}
	if in.algo != u.Algo {
		if u.Asked {
			return bad("InvalidRequest", fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
				strings.ToLower(string(u.Algo)), strings.ToLower(string(in.algo))))
		}
		in.also = u.Algo.New()
	}
	seg, err := s.receive(r, in)
	if err != nil {
		return err
	}
	p := &part{Number: n, Segment: seg, ETag: in.etag(), Sum: in.checksum(), Modified: s.Now().UTC()}
	if in.also != nil {
		p.Sum = checksum.Encode(in.also.Sum(nil))
	}
	if err := s.addPart(b, r, u, p); err != nil {
		s.removeBodies(&version{Segments: []blob.Segment{seg}})
		return err
	}
	h := r.w.Header()
	h.Set("Etag", quoted(p.ETag))
	h.Set(in.algo.Header(), in.checksum())
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	return r.answer(http.StatusOK)
}

func (s *Service) addPart(b *bucket, r *Request, u *upload, p *part) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.upload(r.Key, u.ID); err != nil {
		return err // aborted or completed while the part arrived
	}
	if u.completing {
		return aborted()
	}
	if err := s.record(Record{Kind: kindPart, Bucket: b.name, Key: u.Key, Upload: u.ID, Part: p}); err != nil {
		return err
	}
	if old := u.Parts[p.Number]; old != nil {
		s.removeBodies(&version{Segments: []blob.Segment{old.Segment}})
	}
	u.Parts[p.Number] = p
	return nil
}

func aborted() error {
	return awserr.New(http.StatusConflict, "OperationAborted",
		"A conflicting conditional operation is currently in progress against this resource. Please try again.")
}

func (s *Service) abortUpload(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	b.mu.Lock()
	u, err := b.upload(r.Key, r.query.Get("uploadId"))
	switch {
	case err != nil:
	case u.completing:
		err = aborted()
	default:
		err = s.record(Record{Kind: kindAbort, Bucket: b.name, Key: u.Key, Upload: u.ID})
	}
	if err == nil {
		b.uploads.Delete(uploadKey(u.Key, u.ID))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	s.removeBodies(&version{Segments: u.segments()})
	return r.answer(http.StatusNoContent)
}
