package media_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
)

// TestDocs keeps the table of docs/design.md equal to the one of the code.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| from | event | to | reason |\n|---|---|---|---|\n")
	for _, tr := range media.Transitions {
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", tr.From, tr.Event, tr.To, tr.Reason)
	}
	want.WriteString("\n")
	if !strings.Contains(string(text), want.String()) {
		t.Errorf("docs/design.md has another table of transitions; it should be:\n%s", &want)
	}
}
