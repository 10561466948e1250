package s3

import (
	"crypto/md5" //nolint:gosec // an ETag is an MD5 sum
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/checksum"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/chunked"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sigv4"
)

// maxPut is the largest body of one PUT: 5 GiB.
const maxPut = 5 << 30

// body is a request's body on its way in: decoded if it is chunked, and checked against everything that the
// request says about it. Nothing read is to be kept before finish has returned nil.
type body struct {
	size     int64 // that was announced
	src      io.Reader
	chunks   *chunked.Reader
	md5      hash.Hash
	wantMD5  []byte
	payload  hash.Hash // nil if the payload is not signed as one hash
	wantHash string
	algo     checksum.Algorithm
	sum      hash.Hash
	also     hash.Hash // a second checksum, for an upload that keeps another than the request's
	wantSum  string    // empty if it comes in the trailer, or not at all
	trailer  bool
	read     int64
}

// body prepares for reading the request's body. Without a checksum in the request the one of algorithm standard
// is computed.
func (r *Request) body(standard checksum.Algorithm) (*body, error) {
	b := &body{size: r.ContentLength, src: r.Body, md5: newMD5()}
	if err := b.setMD5(r.Header.Get("Content-Md5")); err != nil {
		return nil, err
	}
	if err := b.setChecksum(r.Header, standard); err != nil {
		return nil, err
	}
	if err := b.setPayload(r); err != nil {
		return nil, err
	}
	if b.size < 0 {
		return nil, awserr.New(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if b.size > maxPut {
		return nil, bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	return b, nil
}

func (b *body) setMD5(header string) error {
	if header == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(raw) != md5.Size {
		return bad("InvalidDigest", "The Content-MD5 you specified was invalid.")
	}
	b.wantMD5 = raw
	return nil
}

// setChecksum finds the checksum that the request names, in a header or a trailer to come.
func (b *body) setChecksum(h http.Header, standard checksum.Algorithm) error {
	b.algo = ""
	for _, a := range checksum.All {
		value := h.Get(a.Header())
		trailer := strings.EqualFold(h.Get("X-Amz-Trailer"), a.Header())
		if value == "" && !trailer {
			continue
		}
		if b.algo != "" {
			return bad("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if !trailer && !a.Valid(value) {
			return bad("InvalidRequest", "Value for "+a.Header()+" header is invalid.")
		}
		b.algo, b.wantSum, b.trailer = a, value, trailer
	}
	switch named := h.Get("X-Amz-Sdk-Checksum-Algorithm"); {
	case named == "":
	case b.algo == "":
		return bad("InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case !strings.EqualFold(named, string(b.algo)):
		return bad("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	if b.algo == "" {
		b.algo = standard
	}
	if b.algo != "" {
		b.sum = b.algo.New()
	}
	return nil
}

// setPayload obeys x-amz-content-sha256.
func (b *body) setPayload(r *Request) error {
	streamed := true
	switch how := r.Signed.PayloadHash; how {
	case sigv4.UnsignedPayload:
		streamed = false
	case sigv4.StreamingUnsigned:
		b.chunks = chunked.NewReader(r.Body, nil, "", true)
	case sigv4.StreamingSigned, sigv4.StreamingSignedTrailers:
		b.chunks = chunked.NewReader(r.Body, r.Signed, r.Signed.Signature, how == sigv4.StreamingSignedTrailers)
	default:
		if raw, err := hex.DecodeString(how); err != nil || len(raw) != sha256.Size {
			return bad("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
		}
		streamed, b.wantHash = false, how
		if b.algo == checksum.SHA256 {
			b.payload = b.sum // one and the same
		} else {
			b.payload = sha256.New()
		}
	}
	if !streamed {
		if b.trailer {
			return bad("InvalidRequest", "x-amz-trailer needs a streamed payload.")
		}
		return nil
	}
	decoded := r.Header.Get("X-Amz-Decoded-Content-Length")
	n, err := strconv.ParseInt(decoded, 10, 64)
	if err != nil || n < 0 {
		return awserr.New(http.StatusLengthRequired, "MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.")
	}
	b.size, b.src = n, b.chunks
	return nil
}

func newMD5() hash.Hash { return md5.New() } //nolint:gosec // see the import

// Write lets a body hash what does not come from a request.
func (b *body) Write(p []byte) (int, error) {
	b.see(p)
	return len(p), nil
}

// see takes in what was read.
func (b *body) see(p []byte) {
	b.read += int64(len(p))
	b.md5.Write(p)
	if b.sum != nil {
		b.sum.Write(p)
	}
	if b.also != nil {
		b.also.Write(p)
	}
	if b.payload != nil && b.payload != b.sum {
		b.payload.Write(p)
	}
}

// Read reads no more than one byte above the announced size, so that a body that lies about it ends.
func (b *body) Read(p []byte) (int, error) {
	if b.read > b.size {
		return 0, io.EOF
	}
	return b.src.Read(p)
}

// readError turns what reading the body failed with into an answer.
func readError(err error) error {
	switch {
	case errors.Is(err, chunked.ErrSignature):
		return awserr.New(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	case errors.Is(err, chunked.ErrMalformed):
		return bad("InvalidRequest", "The aws-chunked body is malformed.")
	case errors.Is(err, chunked.ErrIncomplete), errors.Is(err, io.ErrUnexpectedEOF):
		return incomplete()
	}
	return err
}

func incomplete() error {
	return bad("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

// finish checks the whole body once its end was read.
func (b *body) finish() error {
	if b.read != b.size {
		return incomplete()
	}
	if b.payload != nil && hex.EncodeToString(b.payload.Sum(nil)) != strings.ToLower(b.wantHash) {
		return bad("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if b.wantMD5 != nil && string(b.md5.Sum(nil)) != string(b.wantMD5) {
		return bad("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	if b.trailer {
		b.wantSum = b.chunks.Trailers().Get(b.algo.Header())
		if b.wantSum == "" {
			return bad("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
		if !b.algo.Valid(b.wantSum) {
			return bad("InvalidRequest", "Value for "+b.algo.Header()+" trailing header is invalid.")
		}
	}
	if b.wantSum != "" && b.wantSum != b.checksum() {
		return bad("BadDigest", "The "+string(b.algo)+" you specified did not match the calculated checksum.")
	}
	return nil
}

func (b *body) etag() string { return hex.EncodeToString(b.md5.Sum(nil)) }

func (b *body) checksum() string { return checksum.Encode(b.sum.Sum(nil)) }

// small reads and checks a body of at most limit bytes, for requests that carry XML.
func (r *Request) small(limit int64) ([]byte, error) {
	b, err := r.body("")
	if err != nil {
		return nil, err
	}
	if b.size > limit {
		return nil, bad("MaxMessageLengthExceeded", "Your request was too big.")
	}
	data := make([]byte, b.size)
	if _, err := io.ReadFull(b.src, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, readError(err)
	}
	b.see(data)
	var more [1]byte
	if n, err := io.ReadFull(b.src, more[:]); n > 0 {
		return nil, incomplete()
	} else if !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	return data, b.finish()
}
