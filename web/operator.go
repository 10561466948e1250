package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:operator/dist
var operatorFiles embed.FS

// OperatorPath is where the operator's window is served.
const OperatorPath = "/operator/"

// Operator returns the operator's window, a page for [OperatorPath]. It holds no data: what it shows it asks of
// AdminService, with the token that the operator gives it.
func Operator() (http.Handler, error) {
	built, err := fs.Sub(operatorFiles, "operator/dist")
	if err != nil {
		return nil, err
	}
	page, err := static(built, nil)
	if err != nil {
		return nil, err
	}
	return http.StripPrefix("/operator", page), nil
}
