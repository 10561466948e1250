package s3

import (
	"net/http"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
)

// keptHeaders are the headers of a PUT that a GET answers with, beside x-amz-meta-*.
var keptHeaders = []string{
	"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires",
	"X-Amz-Website-Redirect-Location", "X-Amz-Storage-Class",
}

const metaPrefix = "X-Amz-Meta-"

// kept collects the headers to keep with an object.
func (r *Request) kept() (map[string]string, error) {
	out := map[string]string{}
	for _, name := range keptHeaders {
		if v := r.Header.Get(name); v != "" {
			out[name] = v
		}
	}
	if enc, ok := out["Content-Encoding"]; ok {
		// aws-chunked is how the body travelled, not what it is.
		var left []string
		for part := range strings.SplitSeq(enc, ",") {
			if p := strings.TrimSpace(part); p != "" && p != "aws-chunked" {
				left = append(left, p)
			}
		}
		if out["Content-Encoding"] = strings.Join(left, ","); len(left) == 0 {
			delete(out, "Content-Encoding")
		}
	}
	if out["Content-Type"] == "" {
		out["Content-Type"] = "binary/octet-stream"
	}
	if out["X-Amz-Storage-Class"] == "STANDARD" {
		delete(out, "X-Amz-Storage-Class")
	}
	size := 0
	for name, values := range r.Header {
		if strings.HasPrefix(name, metaPrefix) {
			out[name] = strings.Join(values, ",")
			size += len(name) - len(metaPrefix) + len(out[name])
		}
	}
	if size > 2<<10 {
		return nil, bad("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return out, nil
}

// receive reads and checks the request's body into a segment.
func (s *Service) receive(r *Request, in *body) (blob.Segment, error) {
	w := s.Blobs.Writer(in.size)
	err := w.Fill(in, in.see)
	if err != nil {
		err = readError(err)
	} else {
		err = in.finish()
	}
	if err != nil {
		w.Discard()
		return blob.Segment{}, err
	}
	return w.Commit()
}

func (s *Service) putObject(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	v := &version{SumType: fullObject}
	if v.Headers, err = r.kept(); err != nil {
		return err
	}
	if v.Tags, err = parseTagHeader(r.Header.Get("X-Amz-Tagging")); err != nil {
		return err
	}
	in, err := r.body(checksum.CRC64NVME)
	if err != nil {
		return err
	}
	if err := c.begin(b, r.Key); err != nil {
		return err
	}
	defer c.end(b, r.Key)
	seg, err := s.receive(r, in)
	if err != nil {
		return err
	}
	v.Segments, v.Size, v.ETag = []blob.Segment{seg}, seg.Size, in.etag()
	v.Algo, v.Sum = in.algo, in.checksum()
	if err := s.commit(b, r, v, &c, "ObjectCreated:Put", ""); err != nil {
		return err
	}
	h := r.w.Header()
	h["Etag"] = []string{quoted(v.ETag)}
	v.setChecksum(h)
	h["X-Amz-Server-Side-Encryption"] = []string{"AES256"}
	return r.answer(http.StatusOK)
}

// setChecksum answers with the stored checksum.
func (v *version) setChecksum(h http.Header) {
	if v.Sum != "" {
		h.Set(v.Algo.Header(), v.Sum)
		h["X-Amz-Checksum-Type"] = []string{v.SumType}
	}
}
