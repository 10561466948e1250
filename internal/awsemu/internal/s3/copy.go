package s3

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
)

// copySource reads x-amz-copy-source: /bucket/key?versionId=id, percent-encoded.
func (r *Request) copySource() (bucket, key, versionID string, err error) {
	path, query, _ := strings.Cut(r.Header.Get("X-Amz-Copy-Source"), "?")
	path, uerr := url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if uerr != nil || !ok || key == "" {
		return "", "", "", bad("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if id, ok := strings.CutPrefix(query, "versionId="); ok {
		versionID, _ = url.QueryUnescape(id)
	}
	return bucket, key, versionID, nil
}

func (s *Service) copyObject(r *Request) error {
	to, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	bucket, key, id, err := r.copySource()
	if err != nil {
		return err
	}
	from, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	from.mu.RLock()
	e, _ := from.objects.Get(key)
	src := e.live()
	if id != "" {
		src = e.find(id)
	}
	from.mu.RUnlock()
	switch {
	case src == nil && id != "":
		return noSuchVersion(key, id)
	case src == nil:
		return noSuchKey(key)
	case src.Marker:
		return bad("InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id.")
	case src.Size > maxPut:
		return bad("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	if err := checkCopy(r.Header, src); err != nil {
		return err
	}
	c, err := r.condition()
	if err != nil {
		return err
	}
	v, err := s.copied(r, src, bucket == r.Bucket && key == r.Key && id == "")
	if err != nil {
		return err
	}
	if err := s.commit(to, r, v, &c, "ObjectCreated:Copy", ""); err != nil {
		return err
	}
	h := r.w.Header()
	if id != "" {
		h.Set("X-Amz-Copy-Source-Version-Id", id)
	}
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	var x xmlWriter
	x.root("CopyObjectResult")
	x.time("LastModified", v.Modified)
	x.etag(v.ETag)
	x.text("ChecksumType", v.SumType)
	x.text(v.Algo.Element(), v.Sum)
	x.close("CopyObjectResult")
	r.answerXML(http.StatusOK, &x)
	return nil
}

// copied makes the new version: its bytes are the source's, and so is the rest unless the request replaces it.
func (s *Service) copied(r *Request, src *version, same bool) (*version, error) {
	v := *src
	var err error
	replace := r.Header.Get("X-Amz-Metadata-Directive") == "REPLACE"
	if replace {
		if v.Headers, err = r.kept(); err != nil {
			return nil, err
		}
	} else if same {
		return nil, bad("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if r.Header.Get("X-Amz-Tagging-Directive") == "REPLACE" {
		if v.Tags, err = parseTagHeader(r.Header.Get("X-Amz-Tagging")); err != nil {
			return nil, err
		}
	}
	content, err := s.Blobs.Reader(src.Segments)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	// A copy is one object whatever its source was made of: its ETag and checksum are those of the whole.
	in := &body{md5: newMD5(), algo: checksum.CRC64NVME}
	if a, ok := checksum.Parse(r.Header.Get("X-Amz-Checksum-Algorithm")); ok {
		in.algo = a
	} else if src.Algo != "" {
		in.algo = src.Algo
	}
	in.sum = in.algo.New()
	if err := content.CopyRange(in, 0, src.Size); err != nil {
		return nil, err
	}
	if v.Segments, err = s.Blobs.Share(src.Segments); err != nil {
		return nil, err
	}
	v.ETag, v.Algo, v.Sum, v.SumType = in.etag(), in.algo, in.checksum(), fullObject
	return &v, nil
}

// checkCopy applies the conditions on the source.
func checkCopy(h http.Header, src *version) error {
	read := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := h.Get("X-Amz-Copy-Source-" + name); v != "" {
			read.Set(name, v)
		}
	}
	if err := checkRead(read, src); err != nil {
		return failed("x-amz-copy-source-If-*")
	}
	return nil
}
