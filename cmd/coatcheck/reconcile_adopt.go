package main

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// stage stores the list of what is in use, for whoever works on the run to look up.
func (c *reconcileCommand) stage(ctx context.Context, s streams, p *program) error {
	list, closeList, err := c.claims(ctx)
	if err != nil {
		return err
	}
	n, err := p.store.StageAdoption(ctx, *c.Adopt, c.DryRun, c.checked(list))
	if err = errors.Join(err, closeList()); err != nil {
		return fmt.Errorf("--claim-from: %w", err)
	}
	fmt.Fprintf(s.err, "%d keys are in use below %q, says the list\n", n, *c.Adopt)
	return nil
}

// claims opens the list that --claim-from names.
func (c *reconcileCommand) claims(ctx context.Context) (iter.Seq2[reconcile.Adoption, error], func() error, error) {
	if query, ok := strings.CutPrefix(c.ClaimFrom, "sql:"); ok {
		url := c.ClaimDB
		if url == "" {
			url = c.DatabaseURL
		}
		db, err := postgres.Open(url, 1)
		if err != nil {
			return nil, nil, fmt.Errorf("--claim-database-url: %w", err)
		}
		return queryClaims(ctx, db.DB, query), db.Close, nil
	}
	if c.ClaimFrom == "-" {
		return csvClaims(os.Stdin), func() error { return nil }, nil
	}
	f, err := os.Open(c.ClaimFrom)
	if err != nil {
		return nil, nil, fmt.Errorf("--claim-from: %w", err)
	}
	return csvClaims(f), f.Close, nil
}

// maxKey is S3's limit, in bytes.
const maxKey = 1024

// checked fills in tenant and owner, and refuses what cannot be adopted: nothing is staged then.
func (c *reconcileCommand) checked(list iter.Seq2[reconcile.Adoption, error]) iter.Seq2[reconcile.Adoption, error] {
	return func(yield func(reconcile.Adoption, error) bool) {
		empty := true
		for a, err := range list {
			empty = false
			if a.Tenant == "" {
				a.Tenant = c.AdoptTenant
			}
			if a.Owner == "" {
				a.Owner = c.AdoptOwner
			}
			if err == nil {
				err = c.checkAdoption(a)
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
		if empty {
			yield(reconcile.Adoption{}, errors.New("the list is empty: everything below --adopt would become a stray"))
		}
	}
}

func (c *reconcileCommand) checkAdoption(a reconcile.Adoption) error {
	switch {
	case a.Key == "" || len(a.Key) > maxKey:
		return fmt.Errorf("key %.80q: must have 1 to %d bytes", a.Key, maxKey)
	case !strings.HasPrefix(a.Key, *c.Adopt):
		return fmt.Errorf("key %.200q: is not below --adopt %q", a.Key, *c.Adopt)
	case strings.HasPrefix(a.Key, c.QuarantinePrefix) && c.QuarantinePrefix != "":
		return fmt.Errorf("key %.200q: is within the quarantine prefix", a.Key)
	case a.Claim == "" || len(a.Claim) > 200:
		return fmt.Errorf("key %.200q: its claim must name what holds it: 1 to 200 bytes", a.Key)
	case a.Tenant == "" || a.Owner == "":
		return fmt.Errorf("key %.200q: has no tenant or no owner: give --adopt-tenant and --adopt-owner, or columns of them", a.Key)
	}
	return nil
}

// csvClaims reads a CSV file whose header names its columns.
func csvClaims(r io.Reader) iter.Seq2[reconcile.Adoption, error] {
	return func(yield func(reconcile.Adoption, error) bool) {
		records := csv.NewReader(r)
		records.ReuseRecord = true
		header, err := records.Read()
		if err != nil {
			yield(reconcile.Adoption{}, fmt.Errorf("reading its header: %w", err))
			return
		}
		header = slices.Clone(header)
		if len(header) > 0 {
			header[0] = strings.TrimPrefix(header[0], "\ufeff") // as spreadsheets write it
		}
		set, err := adoptionColumns(header)
		if err != nil {
			yield(reconcile.Adoption{}, err)
			return
		}
		for {
			record, err := records.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var a reconcile.Adoption
			if err == nil {
				for i, value := range record {
					set[i](&a, strings.Clone(value))
				}
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// adoptionColumns returns what each column says of an adoption.
func adoptionColumns(names []string) ([]func(*reconcile.Adoption, string), error) {
	set := make([]func(*reconcile.Adoption, string), len(names))
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if seen[name] {
			return nil, fmt.Errorf("column %q occurs twice", name)
		}
		seen[name] = true
		switch name {
		case "key":
			set[i] = func(a *reconcile.Adoption, v string) { a.Key = v }
		case "claim":
			set[i] = func(a *reconcile.Adoption, v string) { a.Claim = v }
		case "tenant":
			set[i] = func(a *reconcile.Adoption, v string) { a.Tenant = v }
		case "owner":
			set[i] = func(a *reconcile.Adoption, v string) { a.Owner = v }
		default:
			return nil, fmt.Errorf("column %q is none of key, claim, tenant and owner", name)
		}
	}
	if !seen["key"] || !seen["claim"] {
		return nil, errors.New("it must have a header with the columns key and claim")
	}
	return set, nil
}

// queryClaims runs a query whose columns are named like those of a file, in a transaction that can change nothing.
func queryClaims(ctx context.Context, db *sql.DB, query string) iter.Seq2[reconcile.Adoption, error] {
	return func(yield func(reconcile.Adoption, error) bool) {
		fail := func(err error) { yield(reconcile.Adoption{}, fmt.Errorf("the query: %w", err)) }
		tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			fail(err)
			return
		}
		defer tx.Rollback() //nolint:errcheck // nothing was changed
		rows, err := tx.QueryContext(ctx, query)
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			fail(err)
			return
		}
		set, err := adoptionColumns(names)
		if err != nil {
			fail(err)
			return
		}
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				fail(err)
				return
			}
			var a reconcile.Adoption
			for i, v := range values {
				set[i](&a, v.String)
			}
			if !yield(a, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}
