-- +goose NO TRANSACTION

-- The index of an owner's media in one direction, so that a page of ListMedia is one range of it (see Store.List). It is built
-- beside whatever goes on, which no transaction can do: what a run that was stopped has left is removed first, and the one
-- that serves until now goes last. The owner comes first, or Postgres would take a tenant's index for an owner's page, and
-- sort.

-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner_and_id;
CREATE INDEX CONCURRENTLY media_by_owner_and_id ON coatcheck.media (owner, tenant, id);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner;
CREATE INDEX CONCURRENTLY media_by_owner ON coatcheck.media (tenant, owner, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner_and_id;
