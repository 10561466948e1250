-- What a run may remove: what it has seen itself.

-- +goose Up
ALTER TABLE coatcheck.stray ADD COLUMN kept_run uuid;
COMMENT ON COLUMN coatcheck.stray.kept_run IS
    'The last run that could not ask S3 for the object, and so neither forgets it nor removes it.';

-- +goose Down
ALTER TABLE coatcheck.stray DROP COLUMN kept_run;
