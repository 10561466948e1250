package pgserver

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestURLNamesTheDatabase(t *testing.T) {
	t.Parallel()
	ours := &Server{folder: &folder{socketDir: "/a dir/with & and ü"}}
	external := func(dsn string) *Server { return &Server{external: dsn} }
	for _, c := range []struct {
		name               string
		server             *Server
		database, host, is string
	}{
		{"ours", ours, "some db", "/a dir/with & and ü", "some db"},
		{"ours by default", ours, "", "/a dir/with & and ü", "postgres"},
		{"URL", external("postgres://u:p%40@h:1/was?sslmode=disable&dbname=not"), "is", "h", "is"},
		{"URL as given", external("postgres://u:p%40@h:1/was"), "", "h", "was"},
		{"URL with a socket", external("postgres://u@/was?host=/a%20b%2Bc"), "is", "/a b+c", "is"},
		{"keywords", external("host=h user=u dbname=was"), `it's a \ name`, "h", `it's a \ name`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := c.server.URL(c.database)
			cfg, err := pgx.ParseConfig(url)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Host != c.host || cfg.Database != c.is {
				t.Errorf("%s: host %q, database %q; want %q, %q", url, cfg.Host, cfg.Database, c.host, c.is)
			}
		})
	}
}

func TestDatabaseURLStartsNothing(t *testing.T) {
	t.Parallel()
	s := begin(t, Config{})
	handle, err := Start(t.Context(), Config{DatabaseURL: s.URL("postgres")})
	if err != nil {
		t.Fatal(err)
	}
	if err := handle.Restart(t.Context()); err == nil {
		t.Error("somebody else's server was restarted")
	}
	stop(t, handle)
	if got := query(t, s, "SELECT 1"); got != "1" {
		t.Errorf("stopping the handle stopped the server: %q", got)
	}
	stop(t, s)
	_, err = Start(t.Context(), Config{DatabaseURL: strings.Replace(s.URL(""), "postgres@", "postgres:hush@", 1)})
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("error is %v, want one without the password", err)
	}
}
