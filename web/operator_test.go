package web

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestOperator: the committed page is whole, and is served as its policy needs it.
func TestOperator(t *testing.T) {
	t.Parallel()
	h, err := Operator()
	if err != nil {
		t.Fatal(err)
	}
	index := get(h, OperatorPath, nil).Result()
	html, _ := io.ReadAll(index.Body)
	if index.StatusCode != http.StatusOK || index.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("the page is answered with %d, %v", index.StatusCode, index.Header)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'",
	} {
		if got := index.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	named := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(string(html), -1)
	if len(named) < 3 {
		t.Fatalf("the page names %d files only:\n%s", len(named), html)
	}
	for _, file := range named {
		answer := get(h, OperatorPath+file[1], http.Header{"Accept-Encoding": {"gzip"}}).Result()
		kept := strings.Contains(answer.Header.Get("Cache-Control"), "immutable")
		if answer.StatusCode != http.StatusOK || kept != strings.HasPrefix(file[1], "assets/") || answer.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is answered with %d, %v", file[1], answer.StatusCode, answer.Header)
		}
	}
	if answer := get(h, OperatorPath+"nothing", nil).Result(); answer.StatusCode != http.StatusNotFound {
		t.Errorf("what is not there is answered with %d", answer.StatusCode)
	}
}
