// Package migrations holds the SQL of the schema "coatcheck", embedded in the binary. A file is never changed once it
// has been released: add the next one, and keep it safe while binaries of the version before still run.
package migrations

import "embed"

// FS holds the migrations, named by version.
//
//go:embed *.sql
var FS embed.FS
