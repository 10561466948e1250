package s3

import (
	"maps"
	"net/http"
	"slices"
)

func (s *Service) listUploads(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	p, x, err := r.page("max-uploads")
	if err != nil {
		return err
	}
	keyMarker, idMarker := r.query.Get("key-marker"), r.query.Get("upload-id-marker")
	p.uploads = true
	p.after = uploadKey(keyMarker, idMarker)
	switch {
	case keyMarker == "":
		p.after, idMarker = "", "" // S3 ignores an upload id without a key
	case idMarker == "" && p.markerIsPrefix(keyMarker):
		p.after, p.rolled = keyMarker, true
	case idMarker == "":
		p.after = keyMarker + "\x00\xff" // above every upload of that key
	}
	var uploads []*upload
	var prefixes []string
	b.mu.RLock()
	last, rolled, more := walk(p, &b.uploads, func(_ string, u *upload, probing bool) bool {
		if !probing {
			uploads = append(uploads, u)
		}
		return true
	}, func(prefix string) { prefixes = append(prefixes, prefix) })
	b.mu.RUnlock()
	lastID := ""
	if more && !rolled {
		u := uploads[len(uploads)-1]
		last, lastID = u.Key, u.ID
	}
	x.root("ListMultipartUploadsResult")
	x.text("Bucket", b.name)
	x.key("KeyMarker", keyMarker)
	x.text("UploadIdMarker", idMarker)
	if more {
		x.key("NextKeyMarker", last)
		x.text("NextUploadIdMarker", lastID)
	}
	x.key("Prefix", p.prefix)
	if p.delimiter != "" {
		x.key("Delimiter", p.delimiter)
	}
	x.number("MaxUploads", int64(p.max))
	if x.url {
		x.text("EncodingType", "url")
	}
	x.flag("IsTruncated", more)
	for _, u := range uploads {
		x.open("Upload")
		x.key("Key", u.Key)
		x.text("UploadId", u.ID)
		s.writeOwner(x, "Initiator")
		s.writeOwner(x, "Owner")
		x.text("StorageClass", "STANDARD")
		x.time("Initiated", u.Started)
		if u.Asked {
			x.text("ChecksumAlgorithm", string(u.Algo))
			x.text("ChecksumType", u.SumType)
		}
		x.close("Upload")
	}
	for _, prefix := range prefixes {
		x.open("CommonPrefixes")
		x.key("Prefix", prefix)
		x.close("CommonPrefixes")
	}
	x.close("ListMultipartUploadsResult")
	r.answerXML(http.StatusOK, x)
	return nil
}

func (s *Service) listParts(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	limit, err := r.number("max-parts", maxPage)
	if err != nil {
		return err
	}
	after := 0
	if r.query.Get("part-number-marker") != "" {
		if after, err = r.number("part-number-marker", maxParts); err != nil {
			return err
		}
	}
	b.mu.RLock()
	u, err := b.upload(r.Key, r.query.Get("uploadId"))
	if err != nil {
		b.mu.RUnlock()
		return err
	}
	var parts []*part
	for _, n := range slices.Sorted(maps.Keys(u.Parts)) {
		if n > after {
			parts = append(parts, u.Parts[n])
		}
	}
	b.mu.RUnlock()
	more := len(parts) > limit
	parts = parts[:min(len(parts), limit)]
	var x xmlWriter
	x.root("ListPartsResult")
	x.text("Bucket", b.name)
	x.text("Key", u.Key)
	x.text("UploadId", u.ID)
	s.writeOwner(&x, "Initiator")
	s.writeOwner(&x, "Owner")
	x.text("StorageClass", "STANDARD")
	if u.Asked {
		x.text("ChecksumAlgorithm", string(u.Algo))
		x.text("ChecksumType", u.SumType)
	}
	x.number("PartNumberMarker", int64(after))
	if more && len(parts) > 0 {
		x.number("NextPartNumberMarker", int64(parts[len(parts)-1].Number))
	}
	x.number("MaxParts", int64(limit))
	x.flag("IsTruncated", more)
	for _, p := range parts {
		x.open("Part")
		x.number("PartNumber", int64(p.Number))
		x.time("LastModified", p.Modified)
		x.etag(p.ETag)
		x.number("Size", p.Segment.Size)
		if u.Asked {
			x.text(u.Algo.Element(), p.Sum)
		}
		x.close("Part")
	}
	x.close("ListPartsResult")
	r.answerXML(http.StatusOK, &x)
	return nil
}
