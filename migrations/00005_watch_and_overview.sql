-- What is watched, counted and swept: WatchUpload, GetOverview and ListSweeps.

-- +goose Up
CREATE TABLE coatcheck.watcher (
    process uuid PRIMARY KEY,
    until   timestamptz NOT NULL
);
COMMENT ON TABLE coatcheck.watcher IS
    'Processes that want to be told of changes of media, each until a time by this server''s clock. While there is none, nobody is told, which costs nothing.';

-- Tells whoever watches which media have changed, and returns whether anybody does. The payload is their ids in
-- hexadecimal without hyphens, one after another; Postgres allows it fewer than 8000 bytes.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.announce(ids uuid[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM coatcheck.watcher AS w WHERE w.until > clock_timestamp()) THEN
        RETURN false;
    END IF;
    PERFORM pg_notify('coatcheck_media', string_agg(replace(i.id::text, '-', ''), '' ORDER BY i.n))
    FROM unnest(announce.ids) WITH ORDINALITY AS i (id, n) GROUP BY (i.n - 1) / 240;
    RETURN true;
END
$function$;
-- +goose StatementEnd

-- The same within a transaction of the product, when it has changed any, whose number is returned: nobody but Postgres knows
-- when it commits. A transaction that has notified cannot be prepared for a two-phase commit, so where there may be such nobody
-- is told, and whoever watches finds the change when it looks again, which is within seconds.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.announce_in_transaction(ids uuid[], changed integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF changed > 0 AND current_setting('max_prepared_transactions')::integer = 0 THEN
        PERFORM coatcheck.announce(ids);
    END IF;
    RETURN changed;
END
$function$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION coatcheck.announce(uuid[]), coatcheck.announce_in_transaction(uuid[], integer) FROM PUBLIC;

-- As in 00002, but for the announcement.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.claim_media(ids uuid[], claim text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coatcheck.announce_in_transaction(ids, coatcheck.claim_within(ids, claim, NULL));
END
$function$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.claim_media(ids uuid[], claim text, owner text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF owner IS NULL OR owner = '' THEN -- would be every owner
        RAISE EXCEPTION USING ERRCODE = 'MC001', MESSAGE = 'owner: must name whose media they are, and is empty',
            HINT = 'pass the owner for whom they were created, or leave the argument out';
    END IF;
    RETURN coatcheck.announce_in_transaction(ids, coatcheck.claim_within(ids, claim, owner));
END
$function$;
-- +goose StatementEnd

-- As in 00002, but for the announcement.
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
        WHERE m.id = ANY (release_media.ids) AND m.tenant = ANY (tenants)
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
    WHERE m.id = ANY (release_media.ids) AND m.tenant = ANY (tenants) AND m.state = 'confirmed';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN coatcheck.announce_in_transaction(release_media.ids, changed);
END
$function$;
-- +goose StatementEnd

CREATE TABLE coatcheck.overview (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    counted_at   timestamptz NOT NULL,
    took_seconds double precision NOT NULL,
    counts       jsonb NOT NULL
);
COMMENT ON TABLE coatcheck.overview IS
    'What a scan of coatcheck.media counted last, for GetOverview, and how long that took.';

CREATE TABLE coatcheck.sweep (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL,
    asked_for      boolean NOT NULL,
    idle           boolean NOT NULL,
    landed         bigint NOT NULL,
    rejected       bigint NOT NULL,
    never_uploaded bigint NOT NULL,
    unclaimed      bigint NOT NULL,
    deleted        bigint NOT NULL,
    deleted_bytes  bigint NOT NULL,
    failed         bigint NOT NULL,
    purged         bigint NOT NULL,
    incomplete     boolean NOT NULL,
    error          text NOT NULL
);
COMMENT ON TABLE coatcheck.sweep IS
    'Passes of the sweepers that did anything, for 30 days; and of those that did nothing (idle) the newest.';
CREATE INDEX sweep_started ON coatcheck.sweep (started_at);
CREATE INDEX sweep_idle ON coatcheck.sweep (id) WHERE idle;

-- +goose Down
DROP TABLE coatcheck.sweep;
DROP TABLE coatcheck.overview;
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
        WHERE m.id = ANY (release_media.ids) AND m.tenant = ANY (tenants)
        ORDER BY m.id
        FOR UPDATE
    ), judged AS (
        SELECT asked.id, asked.n, l.state, l.reason, CASE
            WHEN l.id IS NULL THEN 'not_found'
            WHEN l.claim <> release_media.claim THEN 'claim_conflict'
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
    WHERE m.id = ANY (release_media.ids) AND m.tenant = ANY (tenants) AND m.state = 'confirmed';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$function$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.claim_media(ids uuid[], claim text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coatcheck.claim_within(ids, claim, NULL);
END
$function$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coatcheck.claim_media(ids uuid[], claim text, owner text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF owner IS NULL OR owner = '' THEN -- would be every owner
        RAISE EXCEPTION USING ERRCODE = 'MC001', MESSAGE = 'owner: must name whose media they are, and is empty',
            HINT = 'pass the owner for whom they were created, or leave the argument out';
    END IF;
    RETURN coatcheck.claim_within(ids, claim, owner);
END
$function$;
-- +goose StatementEnd
DROP FUNCTION coatcheck.announce_in_transaction(uuid[], integer);
DROP FUNCTION coatcheck.announce(uuid[]);
DROP TABLE coatcheck.watcher;
