// Package outbox is a worked example for products whose tables are not in coatcheck's Postgres: posts with pictures,
// which are saved and claimed together although the two live in different databases.
//
// A post and the wish to claim its pictures are written in one transaction of the product's own ([Posts]). A [Relay]
// then tells coatcheck, as often as it takes. Both may be killed at any instant:
//
//   - before the commit there is neither post nor wish, and coatcheck sweeps the uploads when their claim window is over;
//   - after it the wish stays until coatcheck has answered and the answer is written down;
//   - in between coatcheck is told once more, which changes nothing: the same claim again is a success.
//
// It is made to be read and copied, not imported.
package outbox

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
)

// Schema creates the tables of the example.
//
//go:embed schema.sql
var Schema string

// Posts is the product: it saves posts and deletes them, and never calls coatcheck.
type Posts struct {
	DB *sql.DB
}

// Save saves a post with its pictures, which the owner has uploaded, and returns its number. The pictures are claimed
// when the relay has come to them.
func (p Posts) Save(ctx context.Context, owner, body string, mediaIDs []string) (id int64, err error) {
	err = inTx(ctx, p.DB, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO post (owner, body) VALUES ($1, $2) RETURNING id`, owner, body).Scan(&id)
		if err != nil {
			return err
		}
		for _, mediaID := range mediaIDs {
			if _, err := tx.ExecContext(ctx, `INSERT INTO picture (post_id, media_id) VALUES ($1, $2)`, id, mediaID); err != nil {
				return err
			}
			if err := enqueue(ctx, tx, "confirm", owner, id, mediaID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("saving a post: %w", err)
	}
	return id, nil
}

// Delete deletes a post. Its pictures are released when the relay has come to them, after it has claimed them: a claim
// that overtook its release would hold them for ever.
func (p Posts) Delete(ctx context.Context, id int64) error {
	err := inTx(ctx, p.DB, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO media_outbox (action, owner, post_id, media_id)
			SELECT 'release', post.owner, post.id, picture.media_id
			FROM post JOIN picture ON picture.post_id = post.id WHERE post.id = $1`, id)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM post WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting post %d: %w", id, err)
	}
	return nil
}

func enqueue(ctx context.Context, tx *sql.Tx, action, owner string, postID int64, mediaID string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO media_outbox (action, owner, post_id, media_id) VALUES ($1, $2, $3, $4)`,
		action, owner, postID, mediaID)
	return err
}

// inTx commits when do returns nil, and rolls back otherwise.
func inTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
