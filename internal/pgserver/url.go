package pgserver

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const connectLimit = 15 * time.Second

// URL returns the connection string of a database on this server, as pgx and psql read it. The user may do
// everything. An empty name means the database named by Config.DatabaseURL, or postgres.
func (s *Server) URL(database string) string {
	if s.external != "" {
		return withDatabase(s.external, database)
	}
	if database == "" {
		database = "postgres"
	}
	q := url.Values{"host": {s.folder.socketDir}, "port": {strconv.Itoa(port)}, "sslmode": {"disable"}}
	return "postgres://" + superuser + "@/" + url.PathEscape(database) + "?" + encode(q)
}

// encode is for libpq and pgx, which take a plus sign for itself, and for people, who read paths: a slash needs no
// escape in a query.
func encode(q url.Values) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(q.Encode())
}

// withDatabase replaces the database's name in a connection string of either form.
func withDatabase(dsn, database string) string {
	if database == "" {
		return dsn
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		if u, err := url.Parse(dsn); err == nil {
			u.Path = "/" + database
			q := u.Query()
			q.Del("dbname")
			q.Del("database")
			u.RawQuery = encode(q)
			return u.String()
		}
	}
	// In the keyword form the last value of a keyword counts.
	return dsn + " dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

func connectExternal(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, external: cfg.DatabaseURL}
	version, err := ping(ctx, s.external)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database URL given: %w", err)
	}
	if major := leadingNumber(version); major < MinMajor {
		return nil, fmt.Errorf("the database URL given is served by Postgres %s; %d or newer is needed", version, MinMajor)
	}
	return s, nil
}

// ping connects once and returns the server's version.
func ping(ctx context.Context, dsn string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.PgConn().ParameterStatus("server_version"), nil
}
