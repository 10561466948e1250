package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// BenchmarkAnnounce is what one announcement takes, of one change or many, while somebody listens and while nobody does. A
// process makes at most 100 a second while somebody does, and 20 while nobody does.
func BenchmarkAnnounce(b *testing.B) {
	for _, heard := range []bool{false, true} {
		for _, n := range []int{1, 1000} {
			b.Run(fmt.Sprintf("heard=%t/ids=%d", heard, n), func(b *testing.B) {
				db, err := postgres.Open(pgtest.New(b), 4)
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				store := postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
				if heard {
					ctx, cancel := context.WithCancel(b.Context())
					ready, done := make(chan struct{}), make(chan struct{})
					go func() {
						defer close(done)
						_ = store.Listen(ctx, func() { close(ready) }, func([]uuid.UUID) {})
					}()
					defer func() {
						cancel()
						<-done
					}()
					<-ready
				}
				ids := make([]uuid.UUID, n)
				for i := range ids {
					ids[i] = uuid.Must(uuid.NewV7())
				}
				for b.Loop() {
					if was, err := store.Announce(b.Context(), ids); err != nil || was != heard {
						b.Fatal(was, err)
					}
				}
			})
		}
	}
}
