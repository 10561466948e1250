package postgres

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/watch"
)

const (
	// listenFor is for how long a process is told of changes without saying again that it wants to be, and listenAgain how
	// often it does, which is also how often it sees whether its connection is alive.
	listenFor   = time.Minute
	listenAgain = 15 * time.Second
	// listenLimit bounds each statement of a listener, and how long it may take to connect.
	listenLimit = 5 * time.Second
)

// Listen implements [watch.Store]. Its connection is one beside the pool's, with the same settings.
func (s *Store) Listen(ctx context.Context, ready func(), changed func([]uuid.UUID)) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting, to listen for changes: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	process := uuid.New()
	if err := exec(ctx, conn, `LISTEN coatcheck_media`); err != nil {
		return fmt.Errorf("listening for changes: %w", err)
	}
	if err := attend(ctx, conn, process); err != nil {
		return err
	}
	// Without it others would go on telling nobody for a minute.
	defer func() {
		_ = exec(context.WithoutCancel(ctx), conn, `DELETE FROM coatcheck.watcher WHERE process = $1`, process)
	}()
	ready()
	for again := time.Now().Add(listenAgain); ; {
		waiting, cancel := context.WithDeadline(ctx, again)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if ids := announced(n.Payload); len(ids) > 0 {
				changed(ids)
			}
		case time.Now().Before(again):
			return fmt.Errorf("listening for changes: %w", err)
		}
		if time.Now().Before(again) {
			continue
		}
		if err := attend(ctx, conn, process); err != nil {
			return err
		}
		again = time.Now().Add(listenAgain)
	}
}

// connect opens a connection like those of the pool.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	var config *pgx.ConnConfig
	err := s.withPgx(ctx, func(conn *pgx.Conn) error {
		config = conn.Config()
		config.OnNotification = nil // it is that connection's own
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, config)
}

// attend says that a process wants to be told of changes, by the clock of the server: it is a promise between processes, and
// between them and transactions of the product. What others left that were killed goes.
func attend(ctx context.Context, conn *pgx.Conn, process uuid.UUID) error {
	for _, statement := range []string{
		`INSERT INTO coatcheck.watcher (process, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
			ON CONFLICT (process) DO UPDATE SET until = excluded.until`,
		`DELETE FROM coatcheck.watcher WHERE process <> $1 AND until < clock_timestamp() - make_interval(secs => $2)`,
	} {
		if err := exec(ctx, conn, statement, process, listenFor.Seconds()); err != nil {
			return unusable(fmt.Errorf("asking to be told of changes: %w", err))
		}
	}
	return nil
}

func exec(ctx context.Context, conn *pgx.Conn, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	_, err := conn.Exec(ctx, statement, args...)
	return err
}

// announced reads the ids of a payload. Anybody who may connect may send one, so whatever is no id is passed over.
func announced(payload string) []uuid.UUID {
	const digits = 2 * len(uuid.UUID{})
	ids := make([]uuid.UUID, 0, len(payload)/digits)
	for ; len(payload) >= digits; payload = payload[digits:] {
		var id uuid.UUID
		if _, err := hex.Decode(id[:], []byte(payload[:digits])); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

var (
	watchedSQL      = `SELECT ` + string(columns) + ` FROM coatcheck.media AS m WHERE m.id = ANY ($1)`
	watchedByWhoSQL = watchedSQL + ` AND m.tenant || '' = $2 AND ($3 = '' OR m.owner || '' = $3)`
)

const standingsSQL = `SELECT id, state, coalesce(reason, '') FROM coatcheck.media WHERE id = ANY ($1)`

// GetAll implements [watch.Store].
func (s *Store) GetAll(ctx context.Context, scope media.Scope, ids []uuid.UUID) ([]*media.Media, error) {
	if !storable(scope.Tenant) || !storable(scope.Owner) {
		return nil, nil
	}
	ms, err := s.media(ctx, watchedByWhoSQL, toUUIDs(ids), scope.Tenant, scope.Owner)
	if err != nil {
		return nil, unusable(fmt.Errorf("reading media: %w", err))
	}
	return ms, nil
}

// Read implements [watch.Store].
func (s *Store) Read(ctx context.Context, ids []uuid.UUID) ([]*media.Media, error) {
	ms, err := s.media(ctx, watchedSQL, toUUIDs(ids))
	if err != nil {
		return nil, unusable(fmt.Errorf("reading media: %w", err))
	}
	return ms, nil
}

// Standings implements [watch.Store].
func (s *Store) Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]watch.Standing, error) {
	standings := make(map[uuid.UUID]watch.Standing, len(ids))
	_, err := s.query(ctx, standingsSQL, func(answer scanner) error {
		var (
			id    pgtype.UUID
			state media.State
			why   media.Reason
		)
		err := answer.Scan(&id, &state, &why)
		standings[id.Bytes] = watch.Standing{State: state, Reason: why}
		return err
	}, toUUIDs(ids))
	if err != nil {
		return nil, unusable(fmt.Errorf("reading how media stand: %w", err))
	}
	return standings, nil
}

func toUUIDs(ids []uuid.UUID) uuids {
	all := make(uuids, len(ids))
	for i, id := range ids {
		all[i] = toUUID(id)
	}
	return all
}
