package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// BenchmarkCreate compares Create, by so many callers at a time, with the single-row INSERT by pgx over as many
// connections.
func BenchmarkCreate(b *testing.B) {
	for _, clients := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("Create/clients=%d", clients), func(b *testing.B) {
			db, err := postgres.Open(pgtest.New(b), 16)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
			share(b, clients, func() func() error {
				return func() error {
					_, err := store.Create(context.Background(), []*media.Media{draft()})
					return err
				}
			})
		})
		b.Run(fmt.Sprintf("pgx/clients=%d", clients), func(b *testing.B) {
			url := pgtest.New(b)
			share(b, clients, func() func() error {
				conn, err := pgx.Connect(context.Background(), url)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { conn.Close(context.Background()) })
				return func() error {
					m := draft()
					now := time.Now()
					_, err := conn.Exec(context.Background(), `INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
						created_at, url_expires_at, due_at) VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11)`,
						m.ID, m.Tenant, m.Owner, m.Key, m.ContentType, m.SizeBytes, m.ChecksumSHA256, m.FileName, now, now, now)
					return err
				}
			})
		})
	}
}

// share makes b.N calls by several callers.
func share(b *testing.B, clients int, newCaller func() func() error) {
	calls := make(chan struct{}, b.N)
	for range b.N {
		calls <- struct{}{}
	}
	close(calls)
	callers := make([]func() error, clients)
	for i := range callers {
		callers[i] = newCaller()
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, call := range callers {
		wg.Go(func() {
			for range calls {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
