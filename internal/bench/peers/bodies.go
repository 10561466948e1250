package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// newHTTPClient returns a client of the SDK's own settings, with connections for as many calls as there are at a time, and
// with the cure that coatcheck has for a fault of the SDK (OwnBodies in internal/awsclient): without it 1 to 2 % of the
// receives fail on a network as fast as this one, and hide ten messages each. A real network does not show it, so the peers
// are spared it here.
func newHTTPClient() *http.Client {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 256 }).GetTransport()
	return &http.Client{Transport: ownBodies{transport}}
}

// ownBodies sends each request with a copy of its body, which the SDK cannot close while net/http writes it.
type ownBodies struct{ next http.RoundTripper }

func (t ownBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	own := r.WithContext(r.Context())
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	own.Body = io.NopCloser(bytes.NewReader(body))
	return t.next.RoundTrip(own)
}
