package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func ask(t *testing.T, h http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// TestOperator: the committed page is whole, and is served as its policy needs it.
func TestOperator(t *testing.T) {
	t.Parallel()
	h, err := Operator()
	if err != nil {
		t.Fatal(err)
	}
	index := ask(t, h, OperatorPath)
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
		answer := ask(t, h, OperatorPath+file[1], "Accept-Encoding", "gzip")
		kept := strings.Contains(answer.Header.Get("Cache-Control"), "immutable")
		if answer.StatusCode != http.StatusOK || kept != strings.HasPrefix(file[1], "assets/") || answer.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is answered with %d, %v", file[1], answer.StatusCode, answer.Header)
		}
	}
	if answer := ask(t, h, OperatorPath+"nothing"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("what is not there is answered with %d", answer.StatusCode)
	}
}

// TestStatic: a file is the same compressed and not, and is not sent again to whoever has it.
func TestStatic(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("<p>coat</p>", 100)
	h, err := static(fstest.MapFS{"index.html": {Data: []byte(content)}}, map[string]string{"connect-src": "http://127.0.0.1:9"})
	if err != nil {
		t.Fatal(err)
	}
	plain := ask(t, h, "/")
	if text, _ := io.ReadAll(plain.Body); string(text) != content {
		t.Errorf("plain: %q", text)
	}
	if policy := plain.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' http://127.0.0.1:9;") {
		t.Errorf("the policy is %q", policy)
	}
	zipped, err := gzip.NewReader(ask(t, h, "/", "Accept-Encoding", "br, gzip").Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(zipped); string(text) != content {
		t.Errorf("compressed: %q", text)
	}
	if again := ask(t, h, "/", "If-None-Match", plain.Header.Get("Etag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", again.StatusCode)
	}
	for name, files := range map[string]fstest.MapFS{"an unknown type": {"index.html": {}, "a.exe": {}}, "no index.html": {"a.js": {}}} {
		if _, err := static(files, nil); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}
