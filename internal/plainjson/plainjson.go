// Package plainjson reads JSON that is written plainly, in a fraction of the time that encoding/json takes. It is no JSON
// parser: a [Reader] reports false of whatever it would have to think about, and another decides then. What it reads, it
// reads as encoding/json does.
package plainjson

import "strings"

// Reader is a text and how far it was read. Its methods pass over space before a value, and report false when they will not
// go on; nothing more can be read from it then.
type Reader struct {
	text string
	at   int
}

// New returns one at the beginning of the text. What is read shares the text's memory, but for [Reader.Escaped].
func New(text string) Reader { return Reader{text: text} }

// Fields are those of an object that were read, a bit each.
type Fields int

// Once notes that a field is read, and reports false when it was before: encoding/json takes the last of several.
func (f *Fields) Once(field Fields) bool {
	before := *f & field
	*f |= field
	return before == 0
}

// Alike reports whether encoding/json would take a key for one of these although it is spelt differently.
func Alike(key string, names ...string) bool {
	for _, name := range names {
		if strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// End reports whether nothing but space is left.
func (r *Reader) End() bool {
	r.space()
	return r.at == len(r.text)
}

func (r *Reader) space() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\n' || r.text[r.at] == '\r' || r.text[r.at] == '\t') {
		r.at++
	}
}

// next takes a character, after any space.
func (r *Reader) next(c byte) bool {
	r.space()
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

// Object calls member for each, which reads its value.
func (r *Reader) Object(member func(key string) bool) bool {
	if !r.next('{') {
		return false
	}
	for first := true; !r.next('}'); first = false {
		var key string
		if !first && !r.next(',') || !r.String(&key) || !r.next(':') || !member(key) {
			return false
		}
	}
	return true
}

// Array calls element for each, which reads it.
func (r *Reader) Array(element func() bool) bool {
	if !r.next('[') {
		return false
	}
	for first := true; !r.next(']'); first = false {
		if !first && !r.next(',') || !element() {
			return false
		}
	}
	return true
}

// String reads a string of printable ASCII in which nothing is escaped.
func (r *Reader) String(to *string) bool {
	if !r.next('"') {
		return false
	}
	from := r.at
	if !r.plain() || r.text[r.at] != '"' {
		return false
	}
	*to = r.text[from:r.at]
	r.at++
	return true
}

// plain passes over characters that stand for themselves, and reports false when nothing comes after them.
func (r *Reader) plain() bool {
	rest := r.text[r.at:]
	n := 0
	for n < len(rest) && plain[rest[n]] {
		n++
	}
	r.at += n
	return n < len(rest)
}

// Escaped reads a string of printable ASCII in which characters may be escaped by a backslash and a single character, and
// appends what it means. A caller that reads several saves allocations by the room that it has made.
func (r *Reader) Escaped(to *strings.Builder) bool {
	if !r.next('"') {
		return false
	}
	for {
		from := r.at
		if !r.plain() {
			return false
		}
		to.WriteString(r.text[from:r.at])
		switch r.text[r.at] {
		case '"':
			r.at++
			return true
		case '\\':
			if r.at+1 == len(r.text) {
				return false
			}
			c := meaning[r.text[r.at+1]]
			if c == 0 {
				return false
			}
			to.WriteByte(c)
			r.at += 2
		default:
			return false
		}
	}
}

// plain are the characters that stand for themselves in a string: ASCII without controls, quotes and backslashes.
var plain = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// meaning is what characters after a backslash stand for; 0 is no such thing. Those that are written in hexadecimal are left
// to another.
var meaning = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// Number reads a whole number from 0 on, of at most 18 digits.
func (r *Reader) Number(to *int64) bool {
	r.space()
	from := r.at
	for ; r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9'; r.at++ {
		*to = *to*10 + int64(r.text[r.at]-'0')
	}
	digits := r.text[from:r.at]
	ends := r.at < len(r.text) && strings.IndexByte(",}] \n\r\t", r.text[r.at]) >= 0
	return ends && (digits == "0" || len(digits) > 0 && len(digits) <= 18 && digits[0] != '0')
}

// Skip passes over a value that nobody asks for, and that nests no deeper than depth.
func (r *Reader) Skip(depth int) bool {
	if depth == 0 {
		return false
	}
	r.space()
	var text string
	var number int64
	switch rest := r.text[r.at:]; {
	case strings.HasPrefix(rest, "{"):
		return r.Object(func(string) bool { return r.Skip(depth - 1) })
	case strings.HasPrefix(rest, "["):
		return r.Array(func() bool { return r.Skip(depth - 1) })
	case strings.HasPrefix(rest, `"`):
		return r.String(&text)
	default:
		return r.Number(&number)
	}
}
