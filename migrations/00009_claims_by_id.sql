-- +goose Up
-- A landing does not wait for long for a row that somebody's transaction holds: the others of its batch must not (see
-- Store.Land).
ALTER FUNCTION coatcheck.land_pending(uuid[], bigint[], text[], text[], text[], text, timestamptz, timestamptz) SET lock_timeout = '200ms';

-- As in 00002 and 00005, but that media are found by their ids alone: of a tenant that is newer than its statistics Postgres
-- expects one row, and would rather read all that it has by the tenant's index. No index has an expression.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.claim_within(ids uuid[], claim text, owner text) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    tenants text[];
    refused record;
    changed integer;
BEGIN
    PERFORM coatcheck.check_claim(claim_within.ids, claim_within.claim);
    tenants := coatcheck.claim_tenants();

    WITH locked AS MATERIALIZED (
        SELECT m.id, m.state, m.reason, m.claim
        FROM coatcheck.media AS m
        WHERE m.id = ANY (claim_within.ids) AND m.tenant || '' = ANY (tenants)
            AND (claim_within.owner IS NULL OR m.owner || '' = claim_within.owner)
        ORDER BY m.id
        FOR UPDATE
    ), judged AS (
        SELECT asked.id, asked.n, l.state, l.reason, CASE
            WHEN l.id IS NULL THEN 'not_found'
            WHEN l.state = 'uploaded' THEN NULL
            WHEN l.state = 'confirmed' AND l.claim = claim_within.claim THEN NULL
            WHEN l.state = 'confirmed' THEN 'claim_conflict'
            WHEN l.state = 'pending' THEN 'not_landed'
            ELSE 'gone'
        END AS kind
        FROM (SELECT u.id, min(u.n) AS n FROM unnest(claim_within.ids) WITH ORDINALITY AS u (id, n) GROUP BY u.id) AS asked
        LEFT JOIN locked AS l ON l.id = asked.id
    )
    SELECT array_agg(id ORDER BY n) AS ids, array_agg(kind ORDER BY n) AS kinds,
        array_agg(state ORDER BY n) AS states, array_agg(reason ORDER BY n) AS reasons
    INTO refused FROM judged WHERE kind IS NOT NULL;
    IF refused.ids IS NOT NULL THEN
        PERFORM coatcheck.refuse_media(refused.ids, refused.kinds, refused.states, refused.reasons);
    END IF;

    UPDATE coatcheck.media AS m
    SET state = 'confirmed', claim = claim_within.claim, confirmed_at = statement_timestamp(), due_at = NULL,
        revision = m.revision + 1
    WHERE m.id = ANY (claim_within.ids) AND m.tenant || '' = ANY (tenants)
        AND (claim_within.owner IS NULL OR m.owner || '' = claim_within.owner) AND m.state = 'uploaded';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$function$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.release_media(ids uuid[], claim text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    tenants text[];
    refused record;
    changed integer;
BEGIN
    PERFORM coatcheck.check_claim(release_media.ids, release_media.claim);
    tenants := coatcheck.claim_tenants();

    WITH locked AS MATERIALIZED (
        SELECT m.id, m.state, m.reason, m.claim
        FROM coatcheck.media AS m
        WHERE m.id = ANY (release_media.ids) AND m.tenant || '' = ANY (tenants)
        ORDER BY m.id
        FOR UPDATE
    ), judged AS (
        SELECT asked.id, asked.n, l.state, l.reason, CASE
            WHEN l.id IS NULL THEN 'not_found'
            WHEN l.claim <> release_media.claim THEN 'claim_conflict' -- held by another
            WHEN l.claim IS NOT NULL THEN NULL -- held by it, or gone and held by it before
            WHEN l.state IN ('deleting', 'deleted') THEN 'gone'
            ELSE 'not_confirmed'
        END AS kind
        FROM (SELECT u.id, min(u.n) AS n FROM unnest(release_media.ids) WITH ORDINALITY AS u (id, n) GROUP BY u.id) AS asked
        LEFT JOIN locked AS l ON l.id = asked.id
    )
    SELECT array_agg(id ORDER BY n) AS ids, array_agg(kind ORDER BY n) AS kinds,
        array_agg(state ORDER BY n) AS states, array_agg(reason ORDER BY n) AS reasons
    INTO refused FROM judged WHERE kind IS NOT NULL;
    IF refused.ids IS NOT NULL THEN
        PERFORM coatcheck.refuse_media(refused.ids, refused.kinds, refused.states, refused.reasons);
    END IF;

    UPDATE coatcheck.media AS m
    SET state = 'deleting', reason = 'released', deleting_at = statement_timestamp(), due_at = statement_timestamp(),
        revision = m.revision + 1
    WHERE m.id = ANY (release_media.ids) AND m.tenant || '' = ANY (tenants) AND m.state = 'confirmed';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN coatcheck.announce_in_transaction(release_media.ids, changed);
END
$function$;
-- +goose StatementEnd

-- +goose Down
-- The functions stay as they are: they do what they did before.
ALTER FUNCTION coatcheck.land_pending(uuid[], bigint[], text[], text[], text[], text, timestamptz, timestamptz) RESET lock_timeout;
