package pgserver

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDownload needs a network and fetches some 15 MB, so it runs only when asked for.
func TestDownload(t *testing.T) {
	if os.Getenv("COATCHECK_TEST_ALL") == "" {
		t.Skip("set COATCHECK_TEST_ALL=1 to run it")
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(own(t), "cache"))
	t.Setenv("HOME", own(t)) // macOS has its cache below it
	dir := own(t)
	cfg := must(Config{Progress: t.Logf}.withDefaults())
	as := must(chooseRunAs(t.Context(), dir))
	b, err := download(t.Context(), cfg, 0, as)
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, Config{Dir: dir, BinDir: b.dir})
	if got := query(t, s, "SELECT current_setting('server_version')"); leadingNumber(got) != b.major {
		t.Errorf("it is %s, want %s", got, b.version)
	}
	cfg.Progress = func(format string, args ...any) { t.Errorf("again: "+format, args...) }
	if _, err := download(t.Context(), cfg, b.major, as); err != nil {
		t.Error(err)
	}
}
