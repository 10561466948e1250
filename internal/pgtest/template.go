package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/migrations"
)

const (
	// templateLock is the advisory lock under which templates are made, so that processes which share a server make
	// one together: "tmpl" in ASCII.
	templateLock = 0x746d706c

	// maxName is the longest name that Postgres does not cut, in bytes.
	maxName = 63
)

func migrate(ctx context.Context, url string) error { return postgres.MigrateUp(ctx, url) }

// templateName is keyed by the migrations, so that on a shared server other versions of them have other templates.
var templateName = sync.OnceValue(func() string {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := migrations.FS.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		panic(err) // embedded files can be read
	}
	return "coatcheck_template_" + hex.EncodeToString(hash.Sum(nil)[:8])
})

// makeTemplate creates the template if no process has. A database is marked as a template only once it is whole, so
// one whose making was interrupted is made again.
func (a *admin) makeTemplate(ctx context.Context, name string) error {
	conn, err := a.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("taking the template lock: %w", err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", templateLock) //nolint:errcheck // it ends with the connection
	var whole bool
	err = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&whole)
	if err != nil || whole {
		return err
	}
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(name) + " TEMPLATE template0",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := migrate(ctx, a.server.URL(name)); err != nil {
		return err
	}
	// With connections refused, nobody can be connected to it, which would make cloning fail.
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

// databaseName tells which test a database belongs to, and is like no other on the server.
func databaseName(test string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		}
		return '_'
	}, test)
	unique := "test_" + strings.ToLower(rand.Text()[:12]) + "_"
	return unique + clean[:min(len(clean), maxName-len(unique))]
}
