package torture

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// proxyHTTP stands before S3 and SQS. Requests that presigned URLs made, which browsers send, pass like any other; their
// effects are named "s3 presigned PutObject" and "s3 presigned GetObject".
type proxyHTTP struct {
	URL    string
	front  *httptest.Server
	watch  proxyWatch
	served proxyGate
	server atomic.Pointer[http.Handler]
}

// newProxyHTTP serves until the test ends.
func newProxyHTTP(t testing.TB, server http.Handler, watch proxyWatch) *proxyHTTP {
	p := &proxyHTTP{watch: watch}
	p.server.Store(&server)
	front := httptest.NewServer(p)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	p.URL, p.front = front.URL, front
	return p
}

// proxyOperation names a request of those that coatcheck and browsers make.
func proxyOperation(r *http.Request) proxyEffect {
	if operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		return proxyEffect{"sqs", operation}
	}
	q := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	presigned := ""
	if q.Has("X-Amz-Signature") {
		presigned = "presigned "
	}
	name := r.Method
	switch {
	case q.Has("delete"):
		name = "DeleteObjects"
	case q.Has("versioning"):
		name = "GetBucketVersioning"
	case q.Has("versions"):
		name = "ListObjectVersions"
	case q.Has("list-type"):
		name = "ListObjectsV2"
	case key == "" && r.Method == http.MethodHead:
		name = "HeadBucket"
	case key != "" && (r.Method == http.MethodHead || r.Method == http.MethodGet || r.Method == http.MethodPut):
		name = r.Method[:1] + strings.ToLower(r.Method[1:]) + "Object"
	}
	return proxyEffect{"s3", presigned + name}
}

// ServeHTTP implements [http.Handler]. Bodies are small here, and are kept whole.
func (p *proxyHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.served.add(1)
	defer p.served.add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	e := proxyOperation(r)
	fate := p.watch.Before(e)
	if fate.Delay > 0 {
		time.Sleep(fate.Delay)
	}
	switch {
	case fate.Cut == proxyBefore:
		panic(http.ErrAbortHandler)
	case fate.Status != 0:
		p.refuse(w, e, fate)
		return
	}
	answer := p.pass(r, body, fate.Cut == proxyRequest)
	if !p.watch.After(e, fate) || fate.Cut == proxyAnswered || fate.Cut == proxyRequest {
		panic(http.ErrAbortHandler)
	}
	if fate.Cut == proxyAnswer {
		p.half(w, answer)
		return
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // should the client be gone, that is its business
}

// pass has the server answer the request, or one that breaks off in the middle of its body.
func (p *proxyHTTP) pass(r *http.Request, body []byte, broken bool) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	passed := r.Clone(r.Context())
	passed.Body = io.NopCloser(bytes.NewReader(body))
	if broken {
		passed.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), proxyBroken{}))
	}
	func() {
		defer func() {
			// The server may cut its connection, which is done by this panic.
			if cut := recover(); cut != nil && cut != http.ErrAbortHandler {
				panic(cut)
			}
		}()
		(*p.server.Load()).ServeHTTP(answer, passed)
	}()
	return answer
}

// proxyBroken is the end of a body whose connection was cut.
type proxyBroken struct{}

func (proxyBroken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// refuse answers as S3 or SQS does what it will not do.
func (p *proxyHTTP) refuse(w http.ResponseWriter, e proxyEffect, fate proxyFate) {
	if e.Server == "sqs" {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-Query-Error", fate.Code+";Receiver")
		w.WriteHeader(fate.Status)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":"a fault that was asked for"}`, fate.Code)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(fate.Status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>a fault that was asked for</Message></Error>", fate.Code)
}

// half writes the first half of an answer and cuts the connection.
func (p *proxyHTTP) half(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", answer.Code, http.StatusText(answer.Code))
	_ = answer.Header().Write(&text)
	if answer.Header().Get("Content-Length") == "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", answer.Body.Len())
	}
	text.WriteString("\r\n")
	text.Write(answer.Body.Bytes())
	_, _ = conn.Write(text.Bytes()[:text.Len()/2])
}
