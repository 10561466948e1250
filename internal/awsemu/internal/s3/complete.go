package s3

import (
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
)

type completeRequest struct {
	XMLName xml.Name       `xml:"CompleteMultipartUpload"`
	Parts   []completePart `xml:"Part"`
}

type completePart struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

// sum is the checksum that the client says the part has; empty if it says nothing.
func (p *completePart) sum(a checksum.Algorithm) string {
	return map[checksum.Algorithm]string{
		checksum.CRC32: p.ChecksumCRC32, checksum.CRC32C: p.ChecksumCRC32C, checksum.CRC64NVME: p.ChecksumCRC64NVME,
		checksum.SHA1: p.ChecksumSHA1, checksum.SHA256: p.ChecksumSHA256,
	}[a]
}

func (s *Service) completeUpload(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	var in completeRequest
	data, err := r.completeBody()
	if err != nil {
		return err
	}
	if xml.Unmarshal(data, &in) != nil || len(in.Parts) == 0 || len(in.Parts) > maxParts {
		return malformedXML()
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	u, parts, err := b.beginComplete(r, &in)
	if err != nil {
		return err
	}
	v, err := s.assemble(b, r, u, parts, &c)
	if err != nil {
		b.mu.Lock()
		u.completing = false
		b.mu.Unlock()
		return err
	}
	s.removeBodies(&version{Segments: u.segments()}) // the object has files of its own
	var x xmlWriter
	x.root("CompleteMultipartUploadResult")
	x.text("Location", "http://"+r.Host+"/"+b.name+"/"+r.Key)
	x.text("Bucket", b.name)
	x.text("Key", r.Key)
	x.etag(v.ETag)
	x.text(v.Algo.Element(), v.Sum)
	x.text("ChecksumType", v.SumType)
	x.close("CompleteMultipartUploadResult")
	r.w.Header().Set("X-Amz-Server-Side-Encryption", "AES256")
	r.answerXML(http.StatusOK, &x)
	return nil
}

// completeBody reads the list of parts. A checksum header here is of the object, not of the body.
func (r *Request) completeBody() ([]byte, error) {
	saved := r.Header
	r.Header = saved.Clone()
	for _, a := range checksum.All {
		r.Header.Del(a.Header())
	}
	r.Header.Del("X-Amz-Sdk-Checksum-Algorithm")
	defer func() { r.Header = saved }()
	return r.small(4 << 20)
}

// beginComplete checks the list of parts against what was uploaded and keeps the upload as it is until the end.
func (b *bucket) beginComplete(r *Request, in *completeRequest) (*upload, []*part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.upload(r.Key, r.query.Get("uploadId"))
	if err != nil {
		return nil, nil, err
	}
	if u.completing {
		return nil, nil, aborted()
	}
	parts := make([]*part, 0, len(in.Parts))
	for i := range in.Parts {
		want := &in.Parts[i]
		if i > 0 && want.PartNumber <= in.Parts[i-1].PartNumber {
			return nil, nil, bad("InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
		}
		p := u.Parts[want.PartNumber]
		sum := want.sum(u.Algo)
		if p == nil || p.ETag != strings.Trim(want.ETag, `"`) || sum != "" && sum != p.Sum {
			return nil, nil, awserr.New(http.StatusBadRequest, "InvalidPart",
				"One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
				awserr.Detail{Name: "UploadId", Value: u.ID}, awserr.Detail{Name: "PartNumber", Value: strconv.Itoa(want.PartNumber)},
				awserr.Detail{Name: "ETag", Value: strings.Trim(want.ETag, `"`)})
		}
		parts = append(parts, p)
	}
	for _, p := range parts[:len(parts)-1] {
		if p.Segment.Size < minPart {
			return nil, nil, awserr.New(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
				awserr.Detail{Name: "ProposedSize", Value: strconv.FormatInt(p.Segment.Size, 10)},
				awserr.Detail{Name: "MinSizeAllowed", Value: strconv.Itoa(minPart)},
				awserr.Detail{Name: "PartNumber", Value: strconv.Itoa(p.Number)}, awserr.Detail{Name: "ETag", Value: p.ETag})
		}
	}
	u.completing = true
	return u, parts, nil
}

// assemble makes one object of the parts and commits it.
func (s *Service) assemble(b *bucket, r *Request, u *upload, parts []*part, c *condition) (*version, error) {
	v := &version{Headers: u.Headers, Tags: u.Tags, Algo: u.Algo, SumType: u.SumType}
	segments := make([]blob.Segment, 0, len(parts))
	sums := make([]checksum.Part, 0, len(parts))
	md := newMD5()
	for _, p := range parts {
		raw, _ := hex.DecodeString(p.ETag) // made by us
		md.Write(raw)
		segments = append(segments, p.Segment)
		sums = append(sums, checksum.Part{Value: p.Sum, Size: p.Segment.Size})
		v.Size += p.Segment.Size
	}
	v.ETag = fmt.Sprintf("%x-%d", md.Sum(nil), len(parts))
	if v.SumType == composite {
		v.Sum = v.Algo.Composite(sums) + "-" + strconv.Itoa(len(parts))
	} else {
		v.Sum = v.Algo.FullObject(sums)
	}
	if err := checkComplete(r, v); err != nil {
		return nil, err
	}
	if err := c.begin(b, r.Key); err != nil {
		return nil, err
	}
	defer c.end(b, r.Key)
	var err error
	if v.Segments, err = s.Blobs.Join(segments); err != nil {
		return nil, err
	}
	return v, s.commit(b, r, v, c, "ObjectCreated:CompleteMultipartUpload", u.ID)
}

// checkComplete holds the object against the size and checksum that the request names.
func checkComplete(r *Request, v *version) error {
	if size := r.Header.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(v.Size, 10) {
		return bad("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	if kind := r.Header.Get("X-Amz-Checksum-Type"); kind != "" && !strings.EqualFold(kind, v.SumType) {
		return bad("InvalidRequest", "The upload was created using the "+v.SumType+" checksum mode. The complete request must use the same checksum mode.")
	}
	for _, a := range checksum.All {
		if sum := r.Header.Get(a.Header()); sum != "" && (a != v.Algo || sum != v.Sum && !strings.HasPrefix(v.Sum, sum+"-")) {
			return bad("BadDigest", "The "+strings.ToLower(string(a))+" you specified did not match the calculated checksum.")
		}
	}
	return nil
}
