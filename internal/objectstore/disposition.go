package objectstore

import (
	"fmt"
	"strings"
)

// attachment returns the Content-Disposition of a file to save under a name: as RFC 6266 has it, with an ASCII name
// for everybody and, where that is not the whole name, the whole one in the encoding of RFC 8187.
func attachment(name string) string {
	if name == "" {
		return "attachment"
	}
	// A name that is not UTF-8 cannot be given truly, and a path is none of the client's business.
	name = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20 || r == 0x7f:
			return -1
		case r == '/' || r == '\\':
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	ascii := strings.Map(func(r rune) rune {
		// RFC 6266 appendix D: quotes and percent signs are read differently by different clients.
		if r > 0x7e || r == '"' || r == '%' {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + ascii + `"`
	if ascii != name {
		value += "; filename*=UTF-8''" + extValue(name)
	}
	return value
}

// extValue percent-encodes all but the attr-char of RFC 8187, section 3.2.1.
func extValue(s string) string {
	const attrChar = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~"
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(attrChar, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
