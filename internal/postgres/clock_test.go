package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// TestCheckClock refuses a clock that is more than a minute ahead or behind, and takes one for right that is nearly so.
func TestCheckClock(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(pgtest.New(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for off, want := range map[time.Duration]string{
		0: "", 30 * time.Second: "", -30 * time.Second: "", 25 * time.Hour: "ahead of Postgres's", -2 * time.Minute: "behind Postgres's",
	} {
		now := func() time.Time { return time.Now().Add(off) }
		s := postgres.NewStore(db, windows, now, postgres.NewMetrics(prometheus.NewRegistry()))
		if err := s.CheckClock(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", off, err, want)
		}
	}
}
