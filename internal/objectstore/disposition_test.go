package objectstore

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAttachment(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                 `attachment`,
		"a.jpg":            `attachment; filename="a.jpg"`,
		"a b;c,d.jpg":      `attachment; filename="a b;c,d.jpg"`,
		"Füße.jpg":         `attachment; filename="F__e.jpg"; filename*=UTF-8''F%C3%BC%C3%9Fe.jpg`,
		`say "hi".txt`:     `attachment; filename="say _hi_.txt"; filename*=UTF-8''say%20%22hi%22.txt`,
		"100%41.txt":       `attachment; filename="100_41.txt"; filename*=UTF-8''100%2541.txt`,
		"../../etc/passwd": `attachment; filename=".._.._etc_passwd"`,
		"a\r\nX-Evil: 1":   `attachment; filename="aX-Evil: 1"`,
		"\xff.txt":         `attachment; filename="_.txt"; filename*=UTF-8''%EF%BF%BD.txt`,
	} {
		if got := attachment(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// FuzzAttachment reads back what is written with another implementation.
func FuzzAttachment(f *testing.F) {
	f.Add("a.jpg")
	f.Add("ü\"\\/\r\n%00")
	f.Fuzz(func(t *testing.T, name string) {
		value := attachment(name)
		for _, c := range []byte(value) {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("%q has byte %#x", value, c)
			}
		}
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "attachment" {
			t.Fatalf("%q: %s, %v", value, kind, err)
		}
		if utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '/' || r == '\\' }) &&
			params["filename"] != name {
			t.Fatalf("%q is read as %q", value, params["filename"])
		}
	})
}
