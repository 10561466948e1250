-- What a run may remove: what it has seen itself, and as many as its budget is for, whatever becomes of its processes. The
-- version before neither reads nor writes these columns, and goes on as before.

-- +goose Up
ALTER TABLE coatcheck.stray ADD COLUMN kept_run uuid;
COMMENT ON COLUMN coatcheck.stray.kept_run IS
    'The last run that could not ask S3 for the object, and so neither forgets it nor removes it.';

ALTER TABLE coatcheck.reconciliation_shard ADD COLUMN budget_taken bigint NOT NULL DEFAULT 0 CHECK (budget_taken >= 0);
COMMENT ON COLUMN coatcheck.reconciliation_shard.budget_taken IS
    'What has been taken of the run''s delete budget for the strays after position, and is neither used nor given back.';

-- +goose Down
ALTER TABLE coatcheck.reconciliation_shard DROP COLUMN budget_taken;
ALTER TABLE coatcheck.stray DROP COLUMN kept_run;
