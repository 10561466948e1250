package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:try/dist
var tryFiles embed.FS

// Try returns the page on which one tries uploads, for the root of an address. It sends files to S3 at the given origin,
// such as "http://127.0.0.1:9000". It claims them itself, so it is for a service that lets everybody in.
func Try(s3 string) (http.Handler, error) {
	built, err := fs.Sub(tryFiles, "try/dist")
	if err != nil {
		return nil, err
	}
	return static(built, map[string]string{"script-src": "'wasm-unsafe-eval'", "img-src": "data:", "connect-src": s3})
}
