-- +goose NO TRANSACTION

-- The indexes of ListMedia in one direction, so that a page is one range of them (see Store.List). Each is built beside
-- whatever goes on, which no transaction can do: what a run that was stopped has left is removed first, and the ones that
-- serve until now go last. The owner comes first, or Postgres would take a tenant's index for an owner's page, and sort.

-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner_and_id;
CREATE INDEX CONCURRENTLY media_by_owner_and_id ON coatcheck.media (owner, tenant, id);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner;
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant_and_id;
CREATE INDEX CONCURRENTLY media_by_tenant_and_id ON coatcheck.media (tenant, id);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant;
CREATE INDEX CONCURRENTLY media_by_tenant ON coatcheck.media (tenant, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant_and_id;
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner;
CREATE INDEX CONCURRENTLY media_by_owner ON coatcheck.media (tenant, owner, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_owner_and_id;
