package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// BenchmarkConfirm compares Confirm, of one media and of 100, with the UPDATE of one row by pgx over as many connections.
func BenchmarkConfirm(b *testing.B) {
	for _, clients := range []int{1, 32} {
		for _, batch := range []int{1, 100} {
			b.Run(fmt.Sprintf("Confirm/batch=%d/clients=%d", batch, clients), func(b *testing.B) {
				store, _, ids := uploadedMedia(b, b.N*batch)
				var next atomic.Int64
				share(b, clients, func() func() error {
					return func() error {
						end := int(next.Add(int64(batch)))
						claims := make([]media.Claim, batch)
						for i := range claims {
							claims[i] = media.Claim{MediaID: ids[end-batch+i], Claim: "post/1"}
						}
						_, err := store.Confirm(context.Background(), alice, claims)
						return err
					}
				})
			})
		}
		b.Run(fmt.Sprintf("pgx/clients=%d", clients), func(b *testing.B) {
			_, url, ids := uploadedMedia(b, b.N)
			var next atomic.Int64
			share(b, clients, func() func() error {
				conn, err := pgx.Connect(context.Background(), url)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { conn.Close(context.Background()) })
				return func() error {
					_, err := conn.Exec(context.Background(), `UPDATE coatcheck.media SET state = 'confirmed', claim = $2, confirmed_at = $3, due_at = NULL,
						revision = revision + 1 WHERE id = $1 AND state = 'uploaded' AND tenant || '' = 'acme'`, ids[next.Add(1)-1], "post/1", time.Now())
					return err
				}
			})
		})
	}
}

func uploadedMedia(b *testing.B, n int) (*postgres.Store, string, []uuid.UUID) {
	b.Helper()
	url := pgtest.New(b)
	db, err := postgres.Open(url, 16)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	var ids []uuid.UUID
	for len(ids) < n {
		drafts := make([]*media.Media, min(500, n-len(ids)))
		landings := make([]media.Landing, len(drafts))
		for i := range drafts {
			drafts[i] = draft()
			landings[i] = landing(drafts[i])
			ids = append(ids, drafts[i].ID)
		}
		if _, err := store.Create(context.Background(), drafts); err != nil {
			b.Fatal(err)
		}
		if _, err := store.Land(context.Background(), media.SourceNotification, landings); err != nil {
			b.Fatal(err)
		}
	}
	return store, url, ids
}
