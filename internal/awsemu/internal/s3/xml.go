package s3

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

const (
	xmlHeader    = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	xmlNamespace = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
)

// xmlWriter writes the elements of an answer. A page of a listing has some six thousand: encoding/xml would cost
// more than all else about it.
type xmlWriter struct {
	b   []byte
	url bool // keys are form-encoded, because the request says encoding-type=url
}

func (x *xmlWriter) start() {
	if x.b == nil {
		x.b = append(make([]byte, 0, 1024), xmlHeader...)
	}
}

func (x *xmlWriter) document() []byte { return x.b }

// root opens the outermost element of an answer that is not an error.
func (x *xmlWriter) root(name string) {
	x.start()
	x.b = append(append(append(append(x.b, '<'), name...), xmlNamespace...), '>')
}

func (x *xmlWriter) open(name string) {
	x.start()
	x.b = append(append(append(x.b, '<'), name...), '>')
}

func (x *xmlWriter) close(name string) {
	x.b = append(append(append(x.b, "</"...), name...), '>')
}

func (x *xmlWriter) text(name, value string) {
	x.open(name)
	x.escape(value)
	x.close(name)
}

// optional writes nothing for an empty value.
func (x *xmlWriter) optional(name, value string) {
	if value != "" {
		x.text(name, value)
	}
}

// key writes a key or a part of one, encoded if the client asked for that.
func (x *xmlWriter) key(name, value string) {
	if x.url {
		value = notify.FormEncode(value)
	}
	x.text(name, value)
}

func (x *xmlWriter) number(name string, n int64) {
	x.open(name)
	x.b = strconv.AppendInt(x.b, n, 10)
	x.close(name)
}

func (x *xmlWriter) flag(name string, v bool) { x.text(name, strconv.FormatBool(v)) }

func (x *xmlWriter) time(name string, t time.Time) {
	x.open(name)
	x.b = t.UTC().AppendFormat(x.b, notify.TimeFormat)
	x.close(name)
}

func (x *xmlWriter) etag(etag string) {
	x.open("ETag")
	x.b = append(append(append(x.b, "&quot;"...), etag...), "&quot;"...)
	x.close("ETag")
}

func (x *xmlWriter) escape(s string) {
	from := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= 0x20 && r != '<' && r != '>' && r != '&' && r != '"' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		x.b = append(x.b, s[from:i]...)
		switch {
		case r == '<':
			x.b = append(x.b, "&lt;"...)
		case r == '>':
			x.b = append(x.b, "&gt;"...)
		case r == '&':
			x.b = append(x.b, "&amp;"...)
		case r == '"':
			x.b = append(x.b, "&quot;"...)
		case r == utf8.RuneError:
			x.b = append(x.b, "\uFFFD"...)
		default: // a control character: not allowed in XML 1.0, and what S3 sends all the same
			x.b = append(x.b, "&#x"...)
			x.b = strconv.AppendInt(x.b, int64(r), 16)
			x.b = append(x.b, ';')
		}
		i += size
		from = i
	}
	x.b = append(x.b, s[from:]...)
}
