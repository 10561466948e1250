package rpc_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/rpc"
)

// TestNoOrigins: a deployment that names no web origin lets no page call the API. The library that answers preflights
// takes an empty list for "all".
func TestNoOrigins(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	rpc.Register(mux, rpc.Config{
		Authenticate: auth.Tokens{}.Authenticate, Ready: func(context.Context) error { return nil },
		Logger: slog.New(slog.DiscardHandler), Metrics: rpc.NewMetrics(prometheus.NewRegistry()),
	})
	for _, method := range []string{http.MethodOptions, http.MethodPost} {
		req := httptest.NewRequestWithContext(t.Context(), method, "/coatcheck.v1.UploadService/CreateUpload", nil)
		req.Header.Set("Origin", "https://evil.example.com")
		req.Header.Set("Access-Control-Request-Method", "POST")
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, req)
		if got := answer.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s from a page: allowed origin %q, want none", method, got)
		}
	}
}
