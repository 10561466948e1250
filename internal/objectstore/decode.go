package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

const (
	// maxAnswer is far more than a page can have: a thousand keys of a kilobyte, each byte of which is written as three.
	maxAnswer = 64 << 20
	// keptAnswer is up to which size a buffer is kept for the next answer.
	keptAnswer = 4 << 20
)

// objectPage asks for a page of objects. Most of the time that a listing takes is spent in the SDK's decoding of XML, so
// that is done here, and by the SDK where this does not understand an answer.
func (s *Store) objectPage(ctx context.Context, in *s3.ListObjectsV2Input) (*page, error) {
	d := &pageDecoder{shape: objectList, result: func() any { return &s3.ListObjectsV2Output{} }}
	out, err := s.client.ListObjectsV2(ctx, in, d.option)
	if err != nil || d.page != nil {
		return d.page, err
	}
	return objectsOf(out)
}

// versionPage asks for a page of versions and delete markers.
func (s *Store) versionPage(ctx context.Context, in *s3.ListObjectVersionsInput) (*page, error) {
	d := &pageDecoder{shape: versionList, result: func() any { return &s3.ListObjectVersionsOutput{} }}
	out, err := s.client.ListObjectVersions(ctx, in, d.option)
	if err != nil || d.page != nil {
		return d.page, err
	}
	return versionsOf(out)
}

// pageDecoder takes the place of the SDK's decoder for one call.
type pageDecoder struct {
	shape  *shape
	result func() any // what the SDK expects to be decoded to
	page   *page      // nil unless the last answer was understood
	sdk    middleware.DeserializeMiddleware
}

const decoderID = "OperationDeserializer"

// option is one for a call.
func (d *pageDecoder) option(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) (err error) {
		d.sdk, err = stack.Deserialize.Swap(decoderID, d)
		return err
	})
}

// ID implements [middleware.DeserializeMiddleware].
func (*pageDecoder) ID() string { return decoderID }

// HandleDeserialize implements [middleware.DeserializeMiddleware]. The SDK gets whatever is not understood, as it came.
func (d *pageDecoder) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	d.page = nil // it may be another attempt
	out, metadata, err = next.HandleDeserialize(ctx, in)
	bySDK := func() (middleware.DeserializeOutput, middleware.Metadata, error) {
		return d.sdk.HandleDeserialize(ctx, in, middleware.DeserializeHandlerFunc(
			func(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
				return out, metadata, err
			}))
	}
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if !ok || err != nil || response.StatusCode < 200 || response.StatusCode > 299 {
		return bySDK()
	}
	a := answers.Get().(*answerText)
	defer a.release()
	if err = a.read(response.Body, response.ContentLength); err != nil {
		_ = response.Body.Close()
		return out, metadata, &smithy.DeserializationError{Err: fmt.Errorf("failed to read response body, %w", err)}
	}
	if d.page = a.page(d.shape); d.page == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(a.body), response.Body}
		return bySDK()
	}
	smithyhttp.CloseResponseBody(ctx, response, false, nil)
	out.Result = d.result()
	return out, metadata, nil
}

// answerText is an answer's body, and what is needed to make a page of it. It is used for one after the other.
type answerText struct {
	body     []byte
	document document
	plain    []byte
	kept     strings.Builder // what pages hold of it
}

var answers = sync.Pool{New: func() any { return new(answerText) }}

func (a *answerText) release() {
	if cap(a.body) <= keptAnswer {
		answers.Put(a)
	}
}

var errTooLarge = errors.New("it is larger than 64 MiB, which no page of a listing can be")

// read reads all of a body. length is what the header says, -1 if it does not.
func (a *answerText) read(body io.Reader, length int64) error {
	a.body = a.body[:0]
	if length > maxAnswer {
		return errTooLarge
	}
	if n := int(length) + bytes.MinRead; n > cap(a.body) {
		a.body = make([]byte, 0, n)
	}
	b := bytes.NewBuffer(a.body)
	n, err := b.ReadFrom(io.LimitReader(body, maxAnswer+1))
	a.body = b.Bytes()
	if n > maxAnswer {
		err = errors.Join(errTooLarge, err)
	}
	return err
}

// page returns what the body says, or nil when it is not understood.
func (a *answerText) page(s *shape) *page {
	d := &a.document
	if !d.scan(a.body, s) {
		return nil
	}
	p := &page{truncated: d.truncated}
	encoding := types.EncodingType(unescape(nil, d.encoding))
	ok := true
	key := func(raw []byte) string {
		decoded, sound := a.key(raw, encoding)
		ok = ok && sound
		return decoded
	}
	if s == objectList {
		p.next = string(unescape(nil, d.token))
		p.objects = make([]reconcile.Listed, len(d.entries))
		for i := range d.entries {
			o := &d.entries[i]
			p.objects[i] = reconcile.Listed{Key: key(o.key), SizeBytes: o.size, ETag: a.etag(o.etag), LastModified: o.modified}
		}
	} else {
		p.next = decodeMarker(string(unescape(nil, d.key)), encoding)
		p.nextVersion = string(unescape(nil, d.version))
		p.versions = make([]version, 0, len(d.entries))
		for i := range d.entries {
			o := &d.entries[i]
			if o.marker {
				p.markers = append(p.markers, key(o.key))
				continue
			}
			p.versions = append(p.versions, version{latest: o.latest, Listed: reconcile.Listed{
				Key: key(o.key), SizeBytes: o.size, ETag: a.etag(o.etag), LastModified: o.modified, VersionID: a.text(o.version),
			}})
		}
	}
	if !ok {
		return nil
	}
	return p
}

// key returns what an element's text means as a key, and false when it is not encoded as it ought to be.
func (a *answerText) key(raw []byte, encoding types.EncodingType) (string, bool) {
	if bytes.IndexByte(raw, '&') >= 0 {
		a.plain = unescape(a.plain[:0], raw)
		raw = a.plain
	}
	if encoding != "" && (bytes.IndexByte(raw, '%') >= 0 || bytes.IndexByte(raw, '+') >= 0) {
		decoded, err := decodeKey(string(raw), encoding)
		return decoded, err == nil
	}
	return a.keep(raw), true
}

func (a *answerText) etag(raw []byte) string {
	const quote = "&quot;"
	if inner := bytes.TrimSuffix(bytes.TrimPrefix(raw, []byte(quote)), []byte(quote)); bytes.IndexByte(inner, '&') < 0 {
		return a.keep(bytes.Trim(inner, `"`))
	}
	a.plain = unescape(a.plain[:0], raw)
	return a.keep(bytes.Trim(a.plain, `"`))
}

func (a *answerText) text(raw []byte) string {
	if bytes.IndexByte(raw, '&') < 0 {
		return a.keep(raw)
	}
	a.plain = unescape(a.plain[:0], raw)
	return a.keep(a.plain)
}

// keptChunk is how many bytes of texts are allocated at once.
const keptChunk = 16 << 10

// keep copies a text to where many are kept: whoever holds on to one holds on to a chunk, and not to a body, most of
// which nobody needs.
func (a *answerText) keep(text []byte) string {
	if a.kept.Cap()-a.kept.Len() < len(text) {
		a.kept = strings.Builder{}
		a.kept.Grow(max(keptChunk, len(text)))
	}
	from := a.kept.Len()
	a.kept.Write(text)
	return a.kept.String()[from:]
}
