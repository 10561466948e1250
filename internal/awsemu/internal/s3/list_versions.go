package s3

import (
	"net/http"
	"slices"
)

// shown is one version or common prefix on a page of ListObjectVersions.
type shown struct {
	key    string
	v      *version
	latest bool
}

// versionsPage is the page under construction: versions of one key may be spread over several pages.
type versionsPage struct {
	items    []shown
	prefixes []string
	more     bool
	key, id  string // the last item, when there is more
}

func (s *Service) listVersions(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	p, x, err := r.page("max-keys")
	if err != nil {
		return err
	}
	keyMarker, idMarker := r.query.Get("key-marker"), r.query.Get("version-id-marker")
	if idMarker != "" && keyMarker == "" {
		return bad("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	p.after = keyMarker
	p.rolled = idMarker == "" && p.markerIsPrefix(keyMarker)
	b.mu.RLock()
	out := b.versionsPage(p, idMarker)
	b.mu.RUnlock()

	x.root("ListVersionsResult")
	x.text("Name", b.name)
	x.key("Prefix", p.prefix)
	x.key("KeyMarker", keyMarker)
	x.text("VersionIdMarker", idMarker)
	if out.more {
		x.key("NextKeyMarker", out.key)
		x.optional("NextVersionIdMarker", out.id)
	}
	x.number("MaxKeys", int64(p.max))
	if p.delimiter != "" {
		x.key("Delimiter", p.delimiter)
	}
	if x.url {
		x.text("EncodingType", "url")
	}
	x.flag("IsTruncated", out.more)
	for _, i := range out.items {
		s.writeVersion(x, i)
	}
	for _, prefix := range out.prefixes {
		x.open("CommonPrefixes")
		x.key("Prefix", prefix)
		x.close("CommonPrefixes")
	}
	x.close("ListVersionsResult")
	r.answerXML(http.StatusOK, x)
	return nil
}

// versionsPage collects versions, newest first under each key, from the one below idMarker on. The caller holds
// b.mu.
func (b *bucket) versionsPage(p *page, idMarker string) versionsPage {
	var out versionsPage
	room := p.max
	add := func(key string, e *entry, from int) bool {
		for i := from; i >= 0; i-- {
			if room == 0 {
				out.more = true
				return false
			}
			room--
			out.items = append(out.items, shown{key, e.versions[i], i == len(e.versions)-1})
			out.key, out.id = key, e.versions[i].ID
		}
		return true
	}
	if p.max == 0 {
		return out
	}
	if e, ok := b.objects.Get(p.after); ok && idMarker != "" {
		at := slices.IndexFunc(e.versions, func(v *version) bool { return v.ID == idMarker })
		if !add(p.after, e, at-1) {
			return out
		}
	}
	// One page of keys is enough: each has one version at least.
	keys := *p
	keys.max = maxPage + 1
	full := false
	walk(&keys, &b.objects, func(key string, e *entry, probing bool) bool {
		if !probing && !full {
			full = !add(key, e, len(e.versions)-1)
		}
		return true
	}, func(prefix string) {
		if full = full || room == 0; full {
			out.more = true
			return
		}
		room--
		out.prefixes = append(out.prefixes, prefix)
		out.key, out.id = prefix, ""
	})
	return out
}

func (s *Service) writeVersion(x *xmlWriter, i shown) {
	name := "Version"
	if i.v.Marker {
		name = "DeleteMarker"
	}
	x.open(name)
	x.key("Key", i.key)
	x.text("VersionId", i.v.ID)
	x.flag("IsLatest", i.latest)
	x.time("LastModified", i.v.Modified)
	if !i.v.Marker {
		x.etag(i.v.ETag)
		x.number("Size", i.v.Size)
		x.text("StorageClass", i.v.storageClass())
		if i.v.Algo != "" {
			x.text("ChecksumAlgorithm", string(i.v.Algo))
			x.text("ChecksumType", i.v.SumType)
		}
	}
	s.writeOwner(x, "Owner")
	x.close(name)
}
