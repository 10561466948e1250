package s3

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sigv4"
)

// Request is one request: what it asks for, and how to answer it.
type Request struct {
	*http.Request
	Op     string // as the API names it, such as PutObject; Preflight for OPTIONS
	Bucket string
	Key    string
	ID     string // x-amz-request-id
	HostID string // x-amz-id-2
	Signed *sigv4.Signed

	w       http.ResponseWriter
	query   url.Values
	sub     string
	handler handler
}

type handler func(s *Service, r *Request) error

// subresources are the query parameters that choose an operation, strongest first.
var subresources = []string{
	"uploadId", "uploads", "versions", "versioning", "location", "notification", "cors", "lifecycle", "policy",
	"policyStatus", "publicAccessBlock", "encryption", "ownershipControls", "tagging", "acl", "delete", "logging",
	"accelerate", "requestPayment", "website", "replication", "object-lock", "attributes", "torrent", "retention",
	"legal-hold", "restore", "select", "analytics", "inventory", "metrics", "intelligent-tiering", "session",
	"metadataTable", "renameObject",
}

// Route finds out what r asks for. An operation that is not known has an empty Op.
func Route(w http.ResponseWriter, r *http.Request, id, hostID string) *Request {
	q := &Request{Request: r, ID: id, HostID: hostID, w: w}
	q.Bucket, q.Key = target(r)
	if r.URL.RawQuery != "" {
		q.query = r.URL.Query()
		for _, name := range subresources {
			if _, ok := q.query[name]; ok {
				q.sub = name
				break
			}
		}
	}
	switch {
	case r.Method == http.MethodOptions:
		q.Op = "Preflight"
		return q
	case q.Bucket == "":
		q.setOp(serviceOps[r.Method])
	case q.Key == "":
		q.setOp(bucketOps[q.bucketRoute()])
		if q.handler == nil {
			q.configOp()
		}
	default:
		q.setOp(objectOps[q.objectRoute()])
	}
	return q
}

// Answer makes the request be answered to w from here on.
func (r *Request) Answer(w http.ResponseWriter) { r.w = w }

func (r *Request) setOp(o op) { r.Op, r.handler = o.name, o.handler }

func (r *Request) bucketRoute() string {
	if r.Method == http.MethodGet && r.sub == "" && r.query.Get("list-type") == "2" {
		return "GET list-type"
	}
	return r.Method + " " + r.sub
}

func (r *Request) objectRoute() string {
	route := r.Method + " " + r.sub
	copying := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case r.Method == http.MethodPut && copying:
		route += " copy"
	case r.Method == http.MethodGet && r.sub == "" && r.query.Get("list-type") != "":
		route = "" // a bucket's operation on an object
	}
	return route
}

// target splits the path into bucket and key; the bucket may be the first label of a host below localhost.
func target(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, suffix := range []string{".s3.localhost", ".localhost"} {
		if name, ok := strings.CutSuffix(host, suffix); ok && name != "s3" {
			return name, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// Serve carries out a verified request. What it returns is still to be written with WriteError.
func (s *Service) Serve(r *Request) error {
	switch {
	case r.Op == "Preflight":
		return s.preflight(r)
	case r.handler == nil && (r.Method == http.MethodGet || r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodDelete || r.Method == http.MethodHead):
		return notImplemented("This emulator does not implement what the request asks for.")
	case r.handler == nil:
		return methodNotAllowed()
	}
	if len(r.Key) > 1024 {
		return bad("KeyTooLongError", "Your key is too long")
	}
	return r.handler(s, r)
}

func methodNotAllowed() error {
	return awserr.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

// WriteError answers with err; what is not AWS's error is an internal one.
func (r *Request) WriteError(err error) {
	var e *awserr.Error
	if !errors.As(err, &e) {
		e = awserr.New(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again: "+err.Error())
	}
	h := r.w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Accept-Ranges"} {
		if e.Status != http.StatusNotModified {
			h.Del(name)
		}
	}
	if e.Status == http.StatusNotModified {
		r.w.WriteHeader(e.Status)
		return
	}
	var x xmlWriter
	x.open("Error")
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	for _, d := range e.Details {
		x.text(d.Name, d.Value)
	}
	x.text("Resource", r.URL.Path)
	x.text("RequestId", r.ID)
	x.text("HostId", r.HostID)
	x.close("Error")
	r.answerXML(e.Status, &x)
}

func (r *Request) answerXML(status int, x *xmlWriter) {
	h := r.w.Header()
	h.Set("Content-Type", "application/xml")
	body := x.document()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = r.w.Write(body) // the client may be gone
	}
}

func (r *Request) answer(status int) error {
	if status != http.StatusNoContent {
		r.w.Header().Set("Content-Length", "0")
	}
	r.w.WriteHeader(status)
	return nil
}

// number reads a parameter that is a number from 0 to high; more is high.
func (r *Request) number(name string, high int) (int, error) {
	v := r.query.Get(name)
	if v == "" {
		return high, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return 0, bad("InvalidArgument", "Provided "+name+" not an integer or within integer range")
	}
	if n < 0 {
		return 0, bad("InvalidArgument", "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return min(int(n), high), nil
}
