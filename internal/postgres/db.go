// Package postgres keeps media in Postgres. A change of state is one conditional statement or one short transaction,
// guarded by the states that the domain's table names; zero rows mean that somebody else was first, which is an
// answer and not an error. What waits for locks takes them in the order of ids, so that no two statements wait for each
// other in a circle; a batch of confirmations (confirmAllSQL) does not, and gives up within 20 ms instead. What is leased by a
// sweep is skipped, never waited for.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Open returns a pool of at most maxConns connections to the database at a URL or key=value string that pgx
// understands. It connects lazily.
func Open(databaseURL string, maxConns int) (*bun.DB, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx's own message repeats the connection string, which may hold a password.
		return nil, errors.New("database URL: must be a Postgres URL such as postgres://user:password@host:5432/database")
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "coatcheck"
	}
	// A lost client must not hold row locks.
	setDefault(config.RuntimeParams, "idle_in_transaction_session_timeout", "60s")
	setDefault(config.RuntimeParams, "TimeZone", "UTC")
	// What the texts that go to and fro mean must not depend on the settings of the database or of the user.
	config.RuntimeParams["standard_conforming_strings"] = "on"
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["DateStyle"] = "ISO"
	config.RuntimeParams["bytea_output"] = "hex"
	// Rows are judged as they are under the lock, not as they were when a transaction began.
	config.RuntimeParams["default_transaction_isolation"] = "read committed"
	// What is prepared reads by ids and by keys, however many they are. Left to choose, Postgres plans it anew for few.
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	// bun writes arguments into the statement, so that no two texts are alike: preparing them would double the round
	// trips and fill the cache with statements that never come back.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	return bun.NewDB(db, pgdialect.New()), nil
}

func setDefault(params map[string]string, name, value string) {
	for k := range params {
		if strings.EqualFold(k, name) {
			return
		}
	}
	params[name] = value
}

// Transient reports whether the same statement could succeed later as it stands: Postgres could not be reached, is
// starting or stopping, is out of something, or gave up on a deadlock. An error that is not Postgres's own is taken
// for a lost connection. Refused data (classes 22 and 23), missing tables (42) and the like will be refused again, and
// so will what the domain refuses.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func Transient(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "25", "40", "53", "55", "57", "58":
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*media.Error](err); ok {
		return false
	}
	if _, ok := errors.AsType[*media.BatchError](err); ok {
		return false
	}
	return err != nil && !errors.Is(err, sql.ErrNoRows)
}

// Refused reports whether it is the data that Postgres, or the domain, will not have: the same statement with other
// data could succeed. A missing table, a lost connection or a password that expired says nothing about the data.
func Refused(err error) bool {
	if state := sqlState(err); state != "" {
		return strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23")
	}
	_, single := errors.AsType[*media.Error](err)
	_, batch := errors.AsType[*media.BatchError](err)
	return single || batch
}

// lockNotAvailable is the SQLSTATE of a statement that has waited for a lock as long as it may (lock_timeout).
const lockNotAvailable = "55P03"

func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// unusable explains an error that the operator can mend.
func unusable(err error) error {
	switch sqlState(err) {
	case "42P01", "3F000", "42883": // a table, the schema or a function is not there
		return fmt.Errorf("%w; run `coatcheck migrate up` first", err)
	}
	return err
}

// withPgx lends a connection of the pool, for what bun does not do: COPY, and statements whose arguments and results go in
// binary form.
func (s *Store) withPgx(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("unexpected connection %T", driverConn)
		}
		return do(c.Conn())
	})
}

// querier runs a statement, reads each row that it returns, and returns how many those are, or how many it changed.
type querier func(ctx context.Context, sql string, read func(scanner) error, args ...any) (int, error)

type scanner interface{ Scan(to ...any) error }

// query runs a statement whose text is always the same: it is parsed and planned once for each connection, which takes
// longer than running it, and its arguments and results go in binary form. Behind a pooler that hands a connection from
// one to another and knows nothing of prepared statements (PgBouncer before 1.21) there are none: what fails for that has
// done nothing, and is sent again without.
func (s *Store) query(ctx context.Context, sql string, read func(scanner) error, args ...any) (n int, err error) {
	mode := s.mode()
	err = s.withPgx(ctx, func(conn *pgx.Conn) (err error) {
		n, err = readAll(ctx, conn, mode, sql, read, args...)
		return err
	})
	if s.lostPrepared(mode, err) {
		return s.query(ctx, sql, read, args...)
	}
	return n, err
}

// mode is how statements are sent that are always the same.
func (s *Store) mode() pgx.QueryExecMode {
	if s.unprepared.Load() {
		return pgx.QueryExecModeCacheDescribe
	}
	return pgx.QueryExecModeCacheStatement
}

// lostPrepared reports that a statement sent so failed because prepared ones are not kept. From then on none are.
func (s *Store) lostPrepared(mode pgx.QueryExecMode, err error) bool {
	if mode != pgx.QueryExecModeCacheStatement || !slices.Contains([]string{"26000", "42P05"}, sqlState(err)) {
		return false
	}
	s.unprepared.Store(true)
	return true
}

// readAll runs a statement on a connection, or in its transaction.
func readAll(ctx context.Context, on interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, mode pgx.QueryExecMode, sql string, read func(scanner) error, args ...any) (int, error) {
	rows, err := on.Query(ctx, sql, append([]any{mode}, args...)...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return 0, err
		}
	}
	return int(rows.CommandTag().RowsAffected()), rows.Err()
}

// within runs statements in a transaction, where none that fails can be sent again: unprepared.
func within(tx bun.Tx) querier {
	return func(ctx context.Context, sql string, read func(scanner) error, args ...any) (n int, err error) {
		rows, err := tx.Tx.QueryContext(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		for ; rows.Next(); n++ {
			if err := read(rows); err != nil {
				return n, err
			}
		}
		return n, rows.Err()
	}
}

// uuids are an argument in the one form that pgx writes without making a text of each.
type uuids = pgtype.FlatArray[pgtype.UUID]

func toUUID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }
