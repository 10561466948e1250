// Package web holds the built pages of web/, so that the binary serves them and building it needs no Node.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// types are the content types of what Vite makes. The standard library's depend on the machine's own tables.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".wasm": "application/wasm",
}

// file is one that is served.
type file struct {
	plain, gzipped []byte
	header         http.Header
}

// static returns a handler of a built page: each of its files under its path, and index.html for the folder itself. The
// page may have scripts, styles and pictures of its own and call its own origin; policy is by directive what else its
// content security policy lets it do. What Vite names by its content (assets/) is kept for good, and the rest is asked about
// each time.
func static(built fs.FS, policy map[string]string) (http.Handler, error) {
	directives := []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
	for _, directive := range []string{"script-src", "style-src", "img-src", "connect-src", "worker-src"} {
		allowed := "'self'"
		if more := policy[directive]; more != "" {
			allowed += " " + more
		}
		directives = append(directives, directive+" "+allowed)
	}
	files := map[string]*file{}
	err := fs.WalkDir(built, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kind, known := types[path.Ext(name)]
		if !known {
			return fmt.Errorf("%s: no content type is known for it", name)
		}
		plain, err := fs.ReadFile(built, name)
		if err != nil {
			return err
		}
		f := &file{plain: plain, gzipped: compress(plain), header: http.Header{
			"Content-Type":            {kind},
			"Content-Security-Policy": {strings.Join(directives, "; ")},
			"X-Content-Type-Options":  {"nosniff"},
			"Referrer-Policy":         {"no-referrer"},
			"Cache-Control":           {"no-cache"},
			"Etag":                    {fmt.Sprintf(`"%x"`, sha256.Sum256(plain))},
			"Vary":                    {"Accept-Encoding"},
		}}
		if strings.HasPrefix(name, "assets/") {
			f.header.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files["/"+name] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading a built page: %w", err)
	}
	if files["/"] = files["/index.html"]; files["/"] == nil {
		return nil, fmt.Errorf("reading a built page: there is no index.html")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		if f == nil {
			http.NotFound(w, r)
			return
		}
		for name, values := range f.header {
			w.Header()[name] = values
		}
		if r.Header.Get("If-None-Match") == f.header.Get("Etag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		content := f.plain
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			content = f.gzipped
		}
		w.Write(content)
	}), nil
}

// compress makes what is sent to nearly every browser, once, when the process starts.
func compress(plain []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	w.Write(plain)                                        // a bytes.Buffer takes everything
	w.Close()
	return b.Bytes()
}
