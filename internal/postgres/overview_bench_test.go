package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/overview"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// plantSQL makes rows of the last 400 days, of which the last 7 days' are in every state and the others CONFIRMED.
const plantSQL = `
INSERT INTO coatcheck.media (id, tenant, owner, key, state, reason, content_type, size_bytes, checksum_sha256, file_name, created_at, url_expires_at,
	landed_at, landed_by, etag, sequencer, claim, confirmed_at, deleting_at, deleted_at, due_at)
SELECT id, 'bench', 'user-' || i % 1000, 'media/' || right(id::text, 2) || '/' || id, state, CASE state WHEN 'deleted' THEN 'unclaimed' END, 'image/jpeg',
	100000, decode(md5(i::text) || md5(i::text), 'hex'), 'coat.jpg', created, created + interval '5 minutes',
	CASE WHEN state <> 'pending' THEN created + interval '10 seconds' END, CASE WHEN state <> 'pending' THEN 'notification' END,
	CASE WHEN state <> 'pending' THEN md5(i::text) END, CASE WHEN state <> 'pending' THEN lpad(upper(to_hex(i)), 40, '0') END,
	CASE state WHEN 'confirmed' THEN 'post/' || i END, CASE state WHEN 'confirmed' THEN created + interval '1 minute' END,
	CASE state WHEN 'deleted' THEN created + interval '1 day' END, CASE state WHEN 'deleted' THEN created + interval '1 day' END,
	CASE WHEN state <> 'confirmed' THEN created + interval '8 days' END
FROM (
	SELECT i, created, (lpad(to_hex(floor(extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid AS id,
		CASE WHEN created < now() - interval '7 days' THEN 'confirmed' ELSE (ARRAY['confirmed', 'confirmed', 'pending', 'uploaded', 'deleted'])[1 + i % 5] END AS state
	FROM generate_series(1, $1::bigint) AS i, LATERAL (SELECT now() - ($1 - i) * (interval '400 days' / $1)) AS at (created)
	OFFSET 0
) AS numbered`

// BenchmarkOverview is what a count of all media takes, of as many as -rows says; what an overview takes with everything in it
// that is not kept, and when it is; and what it takes to find the newest by the beginning of a key.
func BenchmarkOverview(b *testing.B) {
	url := pgtest.New(b)
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	for _, statement := range []string{plantSQL, "VACUUM ANALYZE coatcheck.media"} {
		var args []any
		if statement == plantSQL {
			args = append(args, *plansRows)
		}
		if _, err := conn.Exec(b.Context(), statement, args...); err != nil {
			b.Fatal(err)
		}
	}
	conn.Close(b.Context())
	db, err := postgres.Open(url, 4)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	c := &clock{now: time.Now()}
	store := postgres.NewStore(db, windows, c.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	maker := func() *overview.Maker {
		logger := slog.New(slog.DiscardHandler)
		return overview.New(overview.Sources{
			Store: store, Backlog: postgres.NewBacklog(db, c.Now, logger).Read, Found: postgres.NewReconciled(db, c.Now, logger).Found,
		}, c.Now, logger)
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			c.Advance(10 * time.Minute) // so that it is due
			if err := store.Count(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := store.Count(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Run("overview", func(b *testing.B) {
		for b.Loop() {
			if _, err := maker().Get(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, prefix := range []string{"media/", "media/7f/", "media/7f/01", "media/7f/0199a"} {
		b.Run("find "+prefix, func(b *testing.B) {
			for b.Loop() {
				if _, err := store.FindByKey(context.Background(), prefix, uuid.UUID{}, 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("overview that is kept", func(b *testing.B) {
		m := maker()
		for b.Loop() {
			if _, err := m.Get(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
