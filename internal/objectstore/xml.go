package objectstore

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// elements reads the XML of a listing: elements, text, and nothing else. Whatever it does not know it does not guess at:
// it reports false, and package encoding/xml reads the document in its place. What it accepts that one accepts too.
type elements struct {
	text []byte
	at   int // everything before it has been read
}

// maxDepth is how deep elements may be nested that nobody asked for.
const maxDepth = 8

// declarations are what may stand before the root.
var declarations = []string{
	`<?xml version="1.0" encoding="UTF-8"?>`, `<?xml version="1.0" encoding="utf-8"?>`,
	`<?xml version='1.0' encoding='utf-8'?>`, `<?xml version='1.0' encoding='UTF-8'?>`, `<?xml version="1.0"?>`,
}

// root reads up to and including the root's start tag, which may declare a namespace.
func (e *elements) root(name string) bool {
	if !plain(e.text) {
		return false
	}
	for _, d := range declarations {
		if hasPrefix(e.text, d) {
			e.at = len(d)
			break
		}
	}
	e.space()
	if !e.skip("<" + name) {
		return false
	}
	if e.skip(">") {
		return true
	}
	for _, quote := range []string{`"`, `'`} {
		if e.skip(" xmlns=" + quote) {
			n := bytes.IndexByte(e.text[e.at:], quote[0])
			if n < 0 || bytes.ContainsAny(e.text[e.at:e.at+n], "<&") {
				return false
			}
			e.at += n
			return e.skip(quote + ">")
		}
	}
	return false
}

// end reports whether the text ends here.
func (e *elements) end() bool {
	e.space()
	return e.at == len(e.text)
}

// tag is a start tag, an end tag or, when both are set, one of an element without content.
type tag struct {
	name       []byte
	start, end bool
}

// next reads the next tag. Between tags there may be space, and no text.
func (e *elements) next() (t tag, ok bool) {
	e.space()
	if e.at >= len(e.text) || e.text[e.at] != '<' {
		return tag{}, false
	}
	rest := e.text[e.at+1:]
	n := bytes.IndexByte(rest, '>')
	if n < 1 {
		return tag{}, false
	}
	e.at += n + 2
	name := rest[:n]
	switch {
	case name[0] == '/':
		return tag{name: name[1:], end: true}, true
	case name[n-1] == '/':
		return tag{name: bytes.TrimRight(name[:n-1], " "), start: true, end: true}, true
	}
	return tag{name: name, start: true}, true
}

// value reads the text of the element that t has begun, up to and including its end tag, as it stands there: with
// entities (see unescape).
func (e *elements) value(t tag) (raw []byte, ok bool) {
	if t.end {
		return nil, true
	}
	rest := e.text[e.at:]
	n := bytes.IndexByte(rest, '<')
	if n < 0 {
		return nil, false
	}
	raw = rest[:n]
	after := n + 2 + len(t.name)
	if len(rest) <= after || rest[n+1] != '/' || !bytes.Equal(rest[n+2:after], t.name) || rest[after] != '>' {
		return nil, false
	}
	if bytes.IndexByte(raw, '&') >= 0 && !sound(raw) {
		return nil, false
	}
	e.at += after + 1
	return raw, true
}

// pass reads the rest of an element that nobody asked for. known are the names of those that somebody asks for: the SDK
// does not mind their case, and this would.
func (e *elements) pass(t tag, known []string) bool {
	for _, k := range known {
		if strings.EqualFold(k, string(t.name)) {
			return false
		}
	}
	return e.passNested(t, 0)
}

func (e *elements) passNested(t tag, depth int) bool {
	if depth == maxDepth || !nameLike(t.name) {
		return false
	}
	if t.end {
		return true
	}
	if _, ok := e.value(t); ok { // which moves on only then
		return true
	}
	for {
		child, ok := e.next()
		switch {
		case !ok:
			return false
		case !child.start:
			return bytes.Equal(child.name, t.name)
		case !e.passNested(child, depth+1):
			return false
		}
	}
}

func (e *elements) space() {
	for e.at < len(e.text) && (e.text[e.at] == ' ' || e.text[e.at] == '\n' || e.text[e.at] == '\t') {
		e.at++
	}
}

func (e *elements) skip(prefix string) bool {
	if !hasPrefix(e.text[e.at:], prefix) {
		return false
	}
	e.at += len(prefix)
	return true
}

func hasPrefix(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}

// nameLike reports whether a tag has a name, without a namespace, and no attributes.
func nameLike(name []byte) bool {
	for i, c := range name {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(name) > 0
}

// plain reports whether a document has nothing but characters that XML allows, in UTF-8, no carriage return, which XML
// would have replaced, and no "]]>", which may stand in no text.
func plain(text []byte) bool {
	ascii := true
	rest := text
	for ; len(rest) >= 8; rest = rest[8:] {
		const ones = 0x0101010101010101
		v := binary.LittleEndian.Uint64(rest)
		// The high bit of a byte that has it, or that is less than 0x20.
		if (v|(v-0x20*ones))&(0x80*ones) != 0 {
			if !plainBytes(rest[:8], &ascii) {
				return false
			}
		}
	}
	if !plainBytes(rest, &ascii) || bytes.Contains(text, []byte("]]>")) {
		return false
	}
	return ascii || utf8.Valid(text) && !bytes.Contains(text, []byte("\ufffe")) && !bytes.Contains(text, []byte("\uffff"))
}

func plainBytes(text []byte, ascii *bool) bool {
	for _, c := range text {
		if c < 0x20 && c != '\n' && c != '\t' {
			return false
		}
		*ascii = *ascii && c < utf8.RuneSelf
	}
	return true
}

// sound reports whether every & begins an entity that unescape knows.
func sound(raw []byte) bool {
	for {
		n := bytes.IndexByte(raw, '&')
		if n < 0 {
			return true
		}
		_, length := entity(raw[n:])
		if length == 0 {
			return false
		}
		raw = raw[n+length:]
	}
}

// unescape appends what a sound text means.
func unescape(to, raw []byte) []byte {
	for {
		n := bytes.IndexByte(raw, '&')
		if n < 0 {
			return append(to, raw...)
		}
		char, length := entity(raw[n:])
		to = utf8.AppendRune(append(to, raw[:n]...), char)
		raw = raw[n+length:]
	}
}

// entity returns the character that a text begins with, which is one of the five of XML or a number, and the length of
// its entity; 0 when it is none of these. Characters that XML does not allow, or that are replaced, are none.
func entity(text []byte) (char rune, length int) {
	n := bytes.IndexByte(text[:min(len(text), len("&#x10ffff;"))], ';')
	if n < 0 {
		return 0, 0
	}
	switch name := text[1:n]; string(name) {
	case "quot":
		char = '"'
	case "amp":
		char = '&'
	case "lt":
		char = '<'
	case "gt":
		char = '>'
	case "apos":
		char = '\''
	default:
		char = numeric(name)
	}
	if char < 0x20 || char >= 0xd800 && char < 0xe000 || char == 0xfffe || char == 0xffff || char > utf8.MaxRune {
		return 0, 0
	}
	return char, n + 1
}

// numeric returns the character of "#34" or "#x22", 0 when it is none.
func numeric(name []byte) rune {
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	digits, base := name[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	var char rune
	for _, c := range digits {
		d := rune(16)
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = rune(c|0x20-'a') + 10
		}
		if d >= base {
			return 0
		}
		char = char*base + d
	}
	return char
}
