// Package chunked decodes the aws-chunked content encoding: a body cut into chunks, each of which may carry a
// signature, with headers after the last one.
//
// Source: "Signature calculations for the authorization header: transferring payload in multiple chunks" in the
// Amazon S3 API reference.
package chunked

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The ways in which a body can be wrong.
var (
	ErrSignature  = errors.New("a chunk's signature does not match")
	ErrMalformed  = errors.New("the chunked body is malformed")
	ErrIncomplete = errors.New("the chunked body ends early")
)

// maxLine bounds a chunk's header and a trailer's line, in bytes.
const maxLine = 4096

// Signer computes the signatures to expect, each from the one before.
type Signer interface {
	ChunkSignature(previous, hash string) string
	TrailerSignature(previous, hash string) string
}

// Reader yields the decoded body. After io.EOF every chunk and the trailer are verified; data read before that
// must not be trusted.
type Reader struct {
	src      *bufio.Reader
	signer   Signer // nil: chunks are not signed
	trailer  bool   // a trailer is expected
	previous string
	expected string
	left     int64
	sum      hash.Hash
	started  bool
	err      error
	trailers http.Header
}

// NewReader decodes src. With a signer every chunk has to be signed, seed being the signature of the request.
func NewReader(src io.Reader, signer Signer, seed string, trailer bool) *Reader {
	r := &Reader{src: bufio.NewReaderSize(src, 32<<10), signer: signer, previous: seed, trailer: trailer}
	if signer != nil {
		r.sum = sha256.New()
	}
	return r
}

// Trailers are the headers that came after the body; they are complete after io.EOF.
func (r *Reader) Trailers() http.Header { return r.trailers }

func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		if r.err = r.nextChunk(); r.err != nil {
			return 0, r.err
		}
	}
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	if r.left > 0 && err != nil {
		r.err = early(err)
		return n, r.err
	}
	return n, nil
}

// nextChunk ends the chunk that was read and reads the header of the next; io.EOF after the last.
func (r *Reader) nextChunk() error {
	if r.started {
		if err := r.endChunk(); err != nil {
			return err
		}
	}
	r.started = true
	line, err := r.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	r.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || r.left < 0 {
		return ErrMalformed
	}
	if r.signer != nil {
		var ok bool
		if r.expected, ok = strings.CutPrefix(extension, "chunk-signature="); !ok {
			return ErrMalformed
		}
	}
	if r.left > 0 {
		return nil
	}
	return r.finish()
}

// endChunk reads the line end after a chunk's data and checks its signature.
func (r *Reader) endChunk() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if line != "" {
		return ErrMalformed
	}
	return r.checkChunk()
}

func (r *Reader) checkChunk() error {
	if r.signer == nil {
		return nil
	}
	want := r.signer.ChunkSignature(r.previous, hex.EncodeToString(r.sum.Sum(nil)))
	r.sum.Reset()
	if want != r.expected {
		return ErrSignature
	}
	r.previous = want
	return nil
}

// finish reads what follows the empty last chunk.
func (r *Reader) finish() error {
	if err := r.checkChunk(); err != nil {
		return err
	}
	r.trailers = http.Header{}
	signed := sha256.New()
	for {
		line, err := r.line()
		switch {
		case err == nil && line == "" && r.trailer && r.signer != nil:
			return ErrSignature // the trailer is not signed
		case err == nil && line == "", errors.Is(err, ErrIncomplete) && len(r.trailers) > 0 && r.signer == nil:
			return io.EOF
		case err != nil:
			return err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !r.trailer {
			return ErrMalformed
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name != "x-amz-trailer-signature" {
			r.trailers.Set(name, value)
			_, _ = io.WriteString(signed, name+":"+value+"\n")
			continue
		}
		if r.signer != nil && r.signer.TrailerSignature(r.previous, hex.EncodeToString(signed.Sum(nil))) != value {
			return ErrSignature
		}
		r.signer = nil // verified
	}
}

// line reads up to the next line end, which is not part of the result.
func (r *Reader) line() (string, error) {
	var line []byte
	for {
		part, err := r.src.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case len(line) > maxLine:
			return "", ErrMalformed
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", early(err)
		}
	}
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncomplete
	}
	return err
}
