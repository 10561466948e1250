package conformance

import (
	"net/http/httptest"
	"testing"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// serveEmulator starts an emulator for the length of the test and returns its URL.
func serveEmulator(t *testing.T) string {
	t.Helper()
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	server := httptest.NewServer(emulator)
	t.Cleanup(server.Close)
	return server.URL
}
