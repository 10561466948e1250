package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxShown is how many bytes of a value an error shows.
const maxShown = 100

// quote returns the beginning of s in quotes, on one line and in ASCII: it goes into logs.
func quote(s string) string {
	if len(s) <= maxShown {
		return strconv.QuoteToASCII(s)
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.QuoteToASCII(s[:n]) + "…"
}

// jsonError says why a manifest could not be decoded. The text of encoding/json's own errors repeats a number or a
// string of the input, however long, so that only the kind and the place are taken from it.
func jsonError(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("manifest.json is not JSON: at byte %d", syntax.Offset)
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("manifest.json has the wrong type of JSON value in %s", quote(kind.Field))
	}
	return errors.New("manifest.json cannot be decoded as JSON")
}

// explain adds to an answer of S3 what may be behind it.
func explain(err error) error {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	switch {
	case ok && response.HTTPStatusCode() == http.StatusForbidden:
		return fmt.Errorf("%w; the credentials must be allowed s3:GetObject on the inventory's files, and kms:Decrypt if they are encrypted with a KMS key", err)
	case ok && response.HTTPStatusCode() == http.StatusNotFound:
		// S3 writes the files under "prefix//" and names them in the manifest as "prefix/".
		// https://rachelevans.org/blog/the-aws-s3-inventory-service-dont-end-the-destination-prefix-with-slash
		return fmt.Errorf("%w; the inventory is not complete yet, or has been deleted, or the destination prefix in its configuration ends with a slash, which it must not", err)
	}
	return err
}

// noEOF keeps an end that comes too early from being taken for the end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
