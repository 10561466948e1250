package pages

import (
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// maxPage is S3's limit.
const maxPage = 1000

type listQuery struct{ prefix, after, token, max, encoding string }

// list serves ListObjectsV2 without delimiter. A continuation token is the key that the page before ended with; ours
// need no encoding, so that encoding-type=url changes no key.
func (p *Server) list(w http.ResponseWriter, q listQuery) {
	size := maxPage
	if n, err := strconv.Atoi(q.max); err == nil && n < maxPage {
		size = max(n, 0)
	}
	after := q.after
	if q.token != "" {
		after = q.token
	}
	end := p.from(q.prefix + "\xff")
	start := min(max(p.from(q.prefix), p.from(after+"\x00")), end)
	found := p.ids[start:min(start+size, end)]
	more := start+size < end && size > 0

	buffer := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buffer)
	b := append((*buffer)[:0], xmlHeader+`<ListBucketResult`+namespace+`><Name>`+rig.Bucket+`</Name>`...)
	b = element(b, "Prefix", q.prefix)
	b = element(b, "MaxKeys", strconv.Itoa(size))
	if q.encoding != "" {
		b = element(b, "EncodingType", q.encoding)
	}
	b = element(b, "IsTruncated", strconv.FormatBool(more))
	b = element(b, "KeyCount", strconv.Itoa(len(found)))
	if q.token != "" {
		b = element(b, "ContinuationToken", q.token)
	}
	if q.after != "" {
		b = element(b, "StartAfter", q.after)
	}
	if more {
		b = element(b, "NextContinuationToken", rig.Keys.Key(found[len(found)-1]))
	}
	for _, id := range found {
		b = p.appendEntry(b, id)
	}
	b = append(b, `</ListBucketResult>`...)
	*buffer = b
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

func element(b []byte, name, value string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = append(append(append(b, value...), "</"...), name...)
	return append(b, '>')
}

func (p *Server) appendEntry(b []byte, id uuid.UUID) []byte {
	b = appendKey(append(b, "<Contents><Key>"...), id)
	b = append(b, p.beforeTime...)
	b = rig.Created(id).AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return append(b, p.afterTime...)
}

// appendKey is rig.Keys.Key without garbage.
func appendKey(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, rig.Prefix...), id[15:])
	b = append(b, '/')
	b = append(hex.AppendEncode(b, id[0:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:])
}
