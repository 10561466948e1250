package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// What does not go through bun, whose hooks show the others, is told to the tests of the query plans.

const RowsSQL = rowsSQL

var (
	LeaseSQL         = leaseSQL
	ExpireUploadsSQL = expireUploadsSQL
	ExpireClaimsSQL  = expireClaimsSQL
	FinishSQL        = finishSQL
	RetrySQL         = retrySQL
	PurgeSQL         = purgeSQL
	WatchedSQL       = watchedByWhoSQL
	StandingsSQL     = standingsSQL
	ToUUIDs          = toUUIDs
	Leased           = leased
)

// ConfirmStatement is what [Store.Confirm] asks first.
func ConfirmStatement(scope media.Scope, claims []media.Claim, now time.Time) (sql string, args []any) {
	return confirmSQL, confirmArgs([]*confirmation{{scope: scope, claims: claims}}, now)
}

// ConfirmAllStatement is the same for a batch.
func ConfirmAllStatement(scope media.Scope, claims []media.Claim, now time.Time) (sql string, args []any) {
	_, args = ConfirmStatement(scope, claims, now)
	return confirmAllSQL, args[:7]
}

// ExpectAll lets the next batch be confirmed in one pass, whatever became of the one before.
func (s *Store) ExpectAll() { s.notAll.Store(0) }

// ExpectNotAll lets the next batches be judged first.
func (s *Store) ExpectNotAll() { s.notAll.Store(notAllFor) }

// ExpectsAll reports whether it would be.
func (s *Store) ExpectsAll() bool { return s.notAll.Load() == 0 }

// LandStatement is what [Store.Land] asks of what is not PENDING, or not as it was declared.
func (s *Store) LandStatement(source media.Source, landings []media.Landing) (sql string, args []any) {
	return judgeSQL(source), s.landArgs(s.time(), source, media.Gather(landings))
}

// Waiting is how many calls wait for the statements that are under way.
func (s *Store) Waiting() int { return s.inserts.length() + s.confirms.length() }

func (g *gatherer[T]) length() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Announce sends an announcement at once.
func (s *Store) Announce(ctx context.Context, ids []uuid.UUID) (heard bool, err error) {
	return s.announce(ctx, ids)
}

// UpTo applies the migrations up to a version.
func (m *Migrator) UpTo(ctx context.Context, version int64) error {
	_, err := m.provider.UpTo(ctx, version)
	return err
}
