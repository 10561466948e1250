package postgres

import (
	"context"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

// Create inserts PENDING media, all or none, and returns them as they are stored, in the order given. A media whose
// idempotency key is that of a live one of the same owner is not inserted: the live one is returned, and while it is
// PENDING its upload window begins anew, since its caller is about to get a fresh URL. When that one was declared
// differently the error is [media.CodeIdempotencyMismatch]; in a batch it is a [media.BatchError].
func (s *Store) Create(ctx context.Context, ms []*media.Media) ([]*media.Media, error) {
	now := s.time()
	rows := make([]*row, len(ms))
	keyed := false
	for i, m := range ms {
		r := fromMedia(m)
		r.State, r.Revision = media.StatePending, 1
		r.CreatedAt, r.DueAt = now, now.Add(s.windows.Upload)
		r.URLExpiresAt = r.URLExpiresAt.UTC().Truncate(time.Microsecond)
		rows[i] = r
		keyed = keyed || r.IdempotencyKey != ""
	}
	if err := checkRows(rows); err != nil {
		return nil, err
	}
	if !keyed {
		if err := s.inserts.Do(ctx, rows); err != nil {
			return nil, err
		}
		return stored(rows), nil
	}
	inserted, err := s.createKeyed(ctx, rows, now)
	if err != nil {
		return nil, err
	}
	s.metrics.entered(media.StatePending, "", inserted)
	return stored(rows), nil
}

func stored(rows []*row) []*media.Media {
	ms := make([]*media.Media, len(rows))
	for i, r := range rows {
		ms[i] = r.media()
	}
	return ms
}
