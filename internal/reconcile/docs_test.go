package reconcile_test

import (
	"os"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestDocs: the page explains every count, for those who read reports and metrics.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/reconciling.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range reconcile.CountNames {
		if !strings.Contains(string(page), "`"+string(c)+"`") {
			t.Errorf("docs/reconciling.md does not explain the count %s", c)
		}
	}
}
