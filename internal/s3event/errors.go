package s3event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxShown is how many bytes of a value an error shows, and maxBad of how many bad records it tells.
const (
	maxShown = 48
	maxBad   = 3
)

// clip returns at most n bytes of s, cut between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// quote returns the beginning of s in quotes, on one line and in ASCII: it goes into logs.
func quote(s string) string {
	if c := clip(s, maxShown); len(c) < len(s) {
		return strconv.QuoteToASCII(c) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// jsonError says why JSON could not be decoded. The text of encoding/json's own errors repeats a number or a string
// of the input, however long, so that only the kind and the place are taken from it.
func jsonError(what string, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s is not JSON: at byte %d", what, syntax.Offset)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s has the wrong type of JSON value in %s", what, quote(kind.Field))
	case errors.As(err, &kind):
		return fmt.Errorf("%s is the wrong type of JSON value", what)
	case errors.Is(err, errTwice):
		return fmt.Errorf("%s has Records twice", what)
	default:
		return fmt.Errorf("%s cannot be decoded as JSON", what)
	}
}

// joinBounded joins the first few errors and counts the others.
func joinBounded(errs []error) error {
	if n := len(errs) - maxBad; n > 0 {
		errs = append(errs[:maxBad:maxBad], fmt.Errorf("and %d more records", n))
	}
	return errors.Join(errs...)
}
