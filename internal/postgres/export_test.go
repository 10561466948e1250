package postgres

import (
	"context"

	"github.com/google/uuid"
)

// RowsSQL is the one statement that does not go through bun, whose hooks show the others.
const RowsSQL = rowsSQL

// Announce sends an announcement at once.
func (s *Store) Announce(ctx context.Context, ids []uuid.UUID) (heard bool, err error) {
	return s.announce(ctx, ids)
}
