package chunked

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// chain is a signer whose signatures say what they sign.
type chain struct{}

func (chain) ChunkSignature(previous, hash string) string   { return previous + "+" + hash[:4] }
func (chain) TrailerSignature(previous, hash string) string { return previous + "~" + hash[:4] }

func decode(body string, s Signer, trailer bool) (string, string, error) {
	r := NewReader(strings.NewReader(body), s, "s", trailer)
	data, err := io.ReadAll(r)
	return string(data), r.Trailers().Get("x-amz-checksum-crc32"), err
}

// The first four digits of the SHA-256 of "abc", of nothing, and of the trailer's line.
const (
	abc  = "ba78"
	none = "e3b0"
	line = "af57"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	signed := "3;chunk-signature=s+" + abc + "\r\nabc\r\n0;chunk-signature=s+" + abc + "+" + none + "\r\n"
	for name, c := range map[string]struct {
		body    string
		signer  Signer
		trailer bool
		want    string
		err     error
	}{
		"plain":             {"3\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:v\r\n\r\n", nil, true, "abcde", nil},
		"hex size":          {"A\r\n0123456789\r\n0\r\n\r\n", nil, true, "0123456789", nil},
		"empty":             {"0\r\n\r\n", nil, true, "", nil},
		"signed":            {signed + "\r\n", chain{}, false, "abc", nil},
		"signed trailer":    {signed + "x-amz-checksum-crc32:v\r\nx-amz-trailer-signature:s+" + abc + "+" + none + "~" + line + "\r\n\r\n", chain{}, true, "abc", nil},
		"changed":           {strings.Replace(signed, "\nabc", "\nabd", 1) + "\r\n", chain{}, false, "abd", ErrSignature},
		"trailer unsigned":  {signed + "x-amz-checksum-crc32:v\r\n\r\n", chain{}, true, "abc", ErrSignature},
		"trailer changed":   {signed + "x-amz-checksum-crc32:w\r\nx-amz-trailer-signature:s+" + abc + "+" + none + "~" + line + "\r\n\r\n", chain{}, true, "abc", ErrSignature},
		"no signature":      {"3\r\nabc\r\n0\r\n\r\n", chain{}, false, "", ErrMalformed},
		"not hex":           {"x\r\nabc\r\n", nil, true, "", ErrMalformed},
		"negative":          {"-1\r\nabc\r\n", nil, true, "", ErrMalformed},
		"longer than said":  {"3\r\nabcd\r\n0\r\n\r\n", nil, true, "abc", ErrMalformed},
		"ends in chunk":     {"9\r\nabc", nil, true, "abc", ErrIncomplete},
		"ends after chunk":  {"3\r\nabc\r\n", nil, true, "abc", ErrIncomplete},
		"endless line":      {strings.Repeat("1", 40_000), nil, true, "", ErrMalformed},
		"trailer unwelcome": {"0\r\nx-amz-checksum-crc32:v\r\n\r\n", nil, false, "", ErrMalformed},
	} {
		got, _, err := decode(c.body, c.signer, c.trailer)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
		}
	}
	if _, sum, _ := decode("0\r\nX-Amz-Checksum-Crc32: v \r\n\r\n", nil, true); sum != "v" {
		t.Errorf("trailer is %q, want v", sum)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:v\r\n\r\n")
	f.Add("0;chunk-signature=x\r\n\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		for _, s := range []Signer{nil, chain{}} {
			if got, _, _ := decode(body, s, true); len(got) > len(body) {
				t.Fatalf("%d bytes out of %d", len(got), len(body))
			}
		}
	})
}
