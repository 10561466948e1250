-- Landings on what is PENDING, which nearly all are.

-- +goose Up
-- Records that the declared objects of PENDING media exist, and returns which media those are. All others are left as they are,
-- for a statement that judges them. The condition is all that there is to judge here, and Postgres asks it anew of a row that it
-- had to wait for; locking the rows first would write each of them twice.
--
-- The rows are locked in the order of ids, which is to be that of their values, so that no two callers wait for each other in a
-- circle. That needs a plan that looks the rows up one by one: of a small table Postgres would rather read all, in any order.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.land_pending(ids uuid[], sizes bigint[], etags text[], version_ids text[], sequencers text[],
    source text, now timestamptz, due timestamptz) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $function$
BEGIN
    RETURN QUERY
    UPDATE coatcheck.media AS m SET
        state = 'uploaded', landed_at = land_pending.now, landed_by = land_pending.source, etag = nullif(e.etag, ''),
        version_id = nullif(e.version_id, ''), sequencer = nullif(e.sequencer, ''), due_at = land_pending.due,
        revision = m.revision + 1
    FROM unnest(land_pending.ids, land_pending.sizes, land_pending.etags, land_pending.version_ids, land_pending.sequencers)
        AS e (id, size_bytes, etag, version_id, sequencer)
    WHERE m.id = e.id AND m.state || '' = 'pending' AND m.size_bytes = e.size_bytes
    RETURNING m.id;
END
$function$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION coatcheck.land_pending(uuid[], bigint[], text[], text[], text[], text, timestamptz, timestamptz) FROM PUBLIC;

-- +goose Down
DROP FUNCTION coatcheck.land_pending(uuid[], bigint[], text[], text[], text[], text, timestamptz, timestamptz);
