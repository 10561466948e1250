// Package pages is an S3 whose objects are made up, for listings of more than an emulator can be filled with in time.
package pages

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// Server is an S3 with as many objects as ids fit into memory: those of the media of package rig with the numbers from
// 0. It answers what a reconciliation asks of S3, with the elements that S3 sends, and checks no signature. There is one
// bucket, whatever its name.
type Server struct {
	ids []uuid.UUID // in the order of their keys

	// What is the same in every entry of a page.
	beforeTime, afterTime []byte
	buffers               sync.Pool
}

// New has n objects.
func New(n int) *Server {
	p := &Server{ids: make([]uuid.UUID, n)}
	for i := range p.ids {
		p.ids[i] = rig.ID(i)
	}
	slices.SortFunc(p.ids, func(a, b uuid.UUID) int {
		if a[15] != b[15] {
			return int(a[15]) - int(b[15])
		}
		return bytes.Compare(a[:], b[:])
	})
	p.beforeTime = []byte(`</Key><LastModified>`)
	p.afterTime = []byte(`</LastModified><ETag>&quot;` + rig.ETag() + `&quot;</ETag>` +
		`<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>` +
		`<Size>` + strconv.Itoa(len(rig.Body)) + `</Size><StorageClass>STANDARD</StorageClass></Contents>`)
	p.buffers.New = func() any { return new([]byte) }
	return p
}

const (
	xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	namespace = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
)

// ServeHTTP implements [http.Handler].
func (p *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amz-Request-Id", "0123456789ABCDEF")
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	get := r.Method == http.MethodGet
	switch {
	case get && key == "" && query.Get("list-type") == "2":
		p.list(w, listQuery{
			prefix: query.Get("prefix"), after: query.Get("start-after"), token: query.Get("continuation-token"),
			max: query.Get("max-keys"), encoding: query.Get("encoding-type"),
		})
	case get && key == "" && query.Has("versioning"):
		answer(w, http.StatusOK, `<VersioningConfiguration`+namespace+`/>`)
	case get && key == "" && query.Has("uploads"):
		answer(w, http.StatusOK, `<ListMultipartUploadsResult`+namespace+`><Bucket>`+rig.Bucket+`</Bucket><KeyMarker/><UploadIdMarker/>`+
			`<MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`)
	case r.Method == http.MethodHead && key == "":
		w.WriteHeader(http.StatusOK)
	case key != "" && (get || r.Method == http.MethodHead):
		p.object(w, r, key)
	default:
		answer(w, http.StatusNotImplemented, `<Error><Code>NotImplemented</Code><Message>Not made up here.</Message></Error>`)
	}
}

func answer(w http.ResponseWriter, status int, document string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xmlHeader + document))
}

// object serves GetObject and HeadObject.
func (p *Server) object(w http.ResponseWriter, r *http.Request, key string) {
	at := p.from(key)
	if at == len(p.ids) || rig.Keys.Key(p.ids[at]) != key {
		answer(w, http.StatusNotFound, `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("ETag", `"`+rig.ETag()+`"`)
	h.Set("Last-Modified", rig.Created(p.ids[at]).Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(rig.Body)))
	if r.Header.Get("X-Amz-Checksum-Mode") != "" {
		h.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(rig.Checksum()))
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(rig.Body))
	}
}

// from returns the index of the first key that is not below the one given.
func (p *Server) from(key string) int {
	buf := make([]byte, 0, 64)
	return sort.Search(len(p.ids), func(i int) bool {
		buf = appendKey(buf[:0], p.ids[i])
		return string(buf) >= key
	})
}
