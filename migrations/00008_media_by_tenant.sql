-- +goose NO TRANSACTION

-- The same of a tenant's media, by itself: a migration that is stopped begins anew, and must not begin by removing what the
-- other has built.

-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant_and_id;
CREATE INDEX CONCURRENTLY media_by_tenant_and_id ON coatcheck.media (tenant, id);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant;
CREATE INDEX CONCURRENTLY media_by_tenant ON coatcheck.media (tenant, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS coatcheck.media_by_tenant_and_id;
