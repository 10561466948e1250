package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/auth"
)

// TestToken: a token is a tenant's or an operator's, one of the two, and its line is what is read.
func TestToken(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--tenant acme":               `^backend acme sha256:`,
		"--tenant acme --name web":    `^web acme sha256:`,
		"--operator":                  `^operator \* sha256:`,
		"--operator --name ops":       `^ops \* sha256:`,
		"":                            "",
		"--tenant acme --operator":    "",
		"--tenant *":                  "",
		"--operator=false":            "",
		"--operator --name ops --x 1": "",
	} {
		var out, errors bytes.Buffer
		status := run(t.Context(), append([]string{"token"}, strings.Fields(args)...), &out, &errors)
		if want == "" {
			if status == 0 || out.Len() > 0 {
				t.Errorf("%q: status %d: %s", args, status, &out)
			}
			continue
		}
		line := out.String()
		if _, err := auth.ParseTokens(&out); status != 0 || err != nil || !regexp.MustCompile(want).MatchString(line) || !strings.Contains(errors.String(), "coat_") {
			t.Errorf("%q: status %d: %s%s (%v)", args, status, line, &errors, err)
		}
	}
}
