-- +goose Up
ALTER TABLE coatcheck.media ADD COLUMN overwritten_at timestamptz;
COMMENT ON COLUMN coatcheck.media.overwritten_at IS
    'When it was first learnt that a CONFIRMED media''s object was overwritten by another, which a store that honours If-None-Match never lets happen. The row still tells of what was confirmed.';
-- Not validated: no row can break it yet, and a scan would hold up a large table.
ALTER TABLE coatcheck.media ADD CONSTRAINT overwritten_was_confirmed
    CHECK (overwritten_at IS NULL OR confirmed_at IS NOT NULL) NOT VALID;

-- +goose Down
ALTER TABLE coatcheck.media DROP COLUMN overwritten_at;
