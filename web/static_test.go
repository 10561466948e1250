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

// TestTry: the embedded page is there with all that it names, under a policy that lets it reach S3 and nothing else.
func TestTry(t *testing.T) {
	t.Parallel()
	page, err := Try("http://127.0.0.1:9000")
	if err != nil {
		t.Fatal(err)
	}
	index := get(page, "/", nil)
	if index.Code != http.StatusOK || index.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("/ is answered with %d, %s", index.Code, index.Header().Get("Content-Type"))
	}
	policy := index.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self' http://127.0.0.1:9000;", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy is %q, without %s", policy, want)
		}
	}
	if got := index.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("index.html: Cache-Control is %q", got)
	}
	assets := regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(index.Body.String(), -1)
	if len(assets) < 2 {
		t.Fatalf("the page names %d files, want a script and a style at least", len(assets))
	}
	for _, m := range assets {
		asset := get(page, m[1], nil)
		if asset.Code != http.StatusOK || !strings.Contains(asset.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s is answered with %d, Cache-Control %q", m[1], asset.Code, asset.Header().Get("Cache-Control"))
		}
	}
	if got := get(page, "/assets/none.js", nil).Code; got != http.StatusNotFound {
		t.Errorf("a file that is not there is answered with %d", got)
	}
}

// TestStatic: a file is compressed for those who can read that, and not sent again to those who have it.
func TestStatic(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a coat ", 1000)
	page, err := static(fstest.MapFS{"index.html": {Data: []byte(text)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := get(page, "/", nil)
	if plain.Body.String() != text || plain.Header().Get("Content-Encoding") != "" {
		t.Errorf("without Accept-Encoding: %d bytes, encoding %q", plain.Body.Len(), plain.Header().Get("Content-Encoding"))
	}
	small := get(page, "/index.html", http.Header{"Accept-Encoding": {"br, gzip"}})
	r, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	if read, err := io.ReadAll(r); err != nil || string(read) != text || small.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("with gzip: %d bytes, %v, encoding %q", len(read), err, small.Header().Get("Content-Encoding"))
	}
	again := get(page, "/", http.Header{"If-None-Match": {plain.Header().Get("Etag")}})
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("who has it is answered with %d and %d bytes", again.Code, again.Body.Len())
	}
}

// TestStaticRefuses: what could not be served is found when the process starts.
func TestStaticRefuses(t *testing.T) {
	t.Parallel()
	for name, built := range map[string]fstest.MapFS{
		"no index.html": {"assets/a.js": {}},
		"unknown type":  {"index.html": {}, "a.exe": {}},
	} {
		if _, err := static(built, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func get(h http.Handler, path string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
