-- Claims inside a product's own transaction. docs/claiming.md is the contract: the signatures of claim_media and
-- release_media, their SQLSTATEs and the form of their details do not change.

-- +goose Up
CREATE TABLE coatcheck.claimer (
    role_name name NOT NULL,
    tenant    text NOT NULL CHECK (tenant <> ''),
    PRIMARY KEY (role_name, tenant)
);
COMMENT ON TABLE coatcheck.claimer IS
    'Which roles may claim in SQL, and for which tenants. A role has what the roles have that it inherits from. Written by coatcheck.grant_claims and coatcheck.revoke_claims.';

-- The tenants whose media the session may claim. Within a SECURITY DEFINER function current_user is the function's
-- owner, so the session is known by the role that it was switched to with SET ROLE, or else by the one that logged in.
-- Neither can be chosen beyond what the roles were granted.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.claim_tenants() RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    caller  name := session_user;
    tenants text[];
BEGIN
    IF current_setting('role') <> 'none' THEN
        caller := current_setting('role');
    END IF;
    SELECT array_agg(DISTINCT c.tenant) INTO tenants
    FROM coatcheck.claimer AS c JOIN pg_roles AS r ON r.rolname = c.role_name
    WHERE pg_has_role(caller, r.oid, 'USAGE');
    IF tenants IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role "%s" may not claim media of any tenant', caller),
            HINT = format('whoever owns the schema can let it: SELECT coatcheck.grant_claims(%L, ''TENANT'')', caller);
    END IF;
    RETURN tenants;
END
$function$;
-- +goose StatementEnd

-- Refuses arguments that the API would refuse, before any media is looked at. A NULL is refused and not passed over: a
-- claim that silently did not happen would end in a sweep.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.check_claim(ids uuid[], claim text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wrong text;
    fix   text;
BEGIN
    IF claim IS NULL OR char_length(claim) NOT BETWEEN 1 AND 200 OR claim COLLATE "C" ~ E'[\x01-\x1F\x7F]' THEN
        wrong := 'claim: must name what holds the media: 1 to 200 characters, no control characters';
        fix := 'pass the product''s own name for it, such as ''post/123''';
    ELSIF ids IS NULL THEN
        wrong := 'ids: must be an array, and is NULL';
        fix := 'pass an empty array where there are no media: coalesce(array_agg(…), ''{}''), or a list that is empty and not nil';
    ELSIF array_position(ids, NULL) IS NOT NULL THEN
        wrong := 'ids: one of them is NULL';
        fix := 'pass ids as CreateUpload returned them';
    ELSIF cardinality(ids) > 1000 THEN
        wrong := format('ids: there are %s, more than 1000', cardinality(ids));
        fix := 'call it several times in the same transaction';
    ELSE
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'MC001', MESSAGE = wrong, HINT = fix;
END
$function$;
-- +goose StatementEnd

-- Raises the first of several refusals, with all of them in its detail: one a line, the id, the kind, and for "gone"
-- the reason.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.refuse_media(ids uuid[], kinds text[], states text[], reasons text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    code    text;
    says    text;
    fix     text;
    refused text;
BEGIN
    CASE kinds[1]
    WHEN 'not_found' THEN
        code := 'MC002';
        says := ': not found';
        fix := 'pass an id that CreateUpload returned for the tenant of this role';
    WHEN 'not_landed' THEN
        code := 'MC003';
        says := ' has not been uploaded';
        fix := 'upload it first; if it has been, the notification is on its way: try again, or confirm by the API, which asks S3';
    WHEN 'gone' THEN
        code := 'MC004';
        says := format(' %s (%s): %s', CASE states[1] WHEN 'deleted' THEN 'was deleted' ELSE 'is being deleted' END, reasons[1],
            CASE reasons[1]
                WHEN 'never_uploaded' THEN 'nothing was uploaded within the upload window'
                WHEN 'unclaimed' THEN 'nothing confirmed it within the claim window'
                WHEN 'cancelled' THEN 'it was cancelled'
                WHEN 'released' THEN 'its claim was released'
                WHEN 'rejected' THEN 'what was uploaded is not what was declared'
                WHEN 'late' THEN 'it had been deleted before its upload ended'
                ELSE 'it is not to be had any more'
            END);
        fix := 'create a new upload';
    WHEN 'claim_conflict' THEN
        code := 'MC005';
        says := ' is held by another claim';
        fix := 'release that one first, or upload the file once more';
    WHEN 'not_confirmed' THEN
        code := 'MC006';
        says := ' is not confirmed';
        fix := 'there is no claim to release: cancel or delete it by the API, or leave it to the sweep';
    END CASE;
    SELECT string_agg(concat_ws(' ', r.id, r.kind, CASE r.kind WHEN 'gone' THEN r.reason END), E'\n' ORDER BY r.n)
    INTO refused
    FROM unnest(ids, kinds, reasons) WITH ORDINALITY AS r (id, kind, reason, n);
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = format('media %s%s', ids[1], says), DETAIL = refused, HINT = fix;
END
$function$;
-- +goose StatementEnd

-- statement_timestamp() is the time of the call: a transaction may be older than the landing that it claims, so that
-- now() would say that it was confirmed before it was uploaded, and clock_timestamp() would be several times.
--
-- Rows are locked in the order of their ids, as the service does everywhere, and judged as they are under the lock:
-- each statement of a VOLATILE function sees what was committed before it began.
-- +goose StatementBegin
CREATE FUNCTION coatcheck.claim_within(ids uuid[], claim text, owner text) RETURNS integer
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
        WHERE m.id = ANY (claim_within.ids) AND m.tenant = ANY (tenants)
            AND (claim_within.owner IS NULL OR m.owner = claim_within.owner)
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
    WHERE m.id = ANY (claim_within.ids) AND m.tenant = ANY (tenants)
        AND (claim_within.owner IS NULL OR m.owner = claim_within.owner) AND m.state = 'uploaded';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$function$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION coatcheck.claim_media(ids uuid[], claim text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN coatcheck.claim_within(ids, claim, NULL);
END
$function$;
-- +goose StatementEnd
COMMENT ON FUNCTION coatcheck.claim_media(uuid[], text) IS
    'Claims media in the caller''s transaction, all or none, as ConfirmMedia does, and returns how many this call confirmed: those that the same claim holds already are a success and not counted. SQLSTATEs: MC001 an argument is invalid, MC002 not found, MC003 not landed, MC004 gone, MC005 another claim holds it, 42501 the role may not claim. The code and the message are of the first refused media in the order of ids; the detail has a line for each: id, kind (not_found, not_landed, gone, claim_conflict), and for gone the reason. This is a contract; see docs/claiming.md.';

-- +goose StatementBegin
CREATE FUNCTION coatcheck.claim_media(ids uuid[], claim text, owner text) RETURNS integer
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
COMMENT ON FUNCTION coatcheck.claim_media(uuid[], text, text) IS
    'As coatcheck.claim_media(uuid[], text), for one owner, as the API with the header Coatcheck-Owner: another owner''s media are not found. This is a contract; see docs/claiming.md.';

-- +goose StatementBegin
CREATE FUNCTION coatcheck.release_media(ids uuid[], claim text) RETURNS integer
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
COMMENT ON FUNCTION coatcheck.release_media(uuid[], text) IS
    'Gives up a claim in the caller''s transaction, all or none, as ReleaseMedia does, and returns how many this call released: those that the same claim held and that are gone already are a success and not counted. SQLSTATEs: those of coatcheck.claim_media but MC003, and MC006 not confirmed (kind not_confirmed). This is a contract; see docs/claiming.md.';

-- +goose StatementBegin
CREATE FUNCTION coatcheck.grant_claims(role_name name, tenant text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    -- GRANT takes "public" for everybody, quoted or not.
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = grant_claims.role_name) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', grant_claims.role_name);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA coatcheck TO %I', grant_claims.role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION coatcheck.claim_media(uuid[], text), coatcheck.claim_media(uuid[], text, text), '
        'coatcheck.release_media(uuid[], text) TO %I', grant_claims.role_name);
    INSERT INTO coatcheck.claimer (role_name, tenant) VALUES (grant_claims.role_name, grant_claims.tenant)
    ON CONFLICT DO NOTHING;
END
$function$;
-- +goose StatementEnd
COMMENT ON FUNCTION coatcheck.grant_claims(name, text) IS
    'Lets a role, and every role that inherits from it, claim and release a tenant''s media in SQL, and nothing else. For the owner of the schema. It may be repeated.';

-- +goose StatementBegin
CREATE FUNCTION coatcheck.revoke_claims(role_name name, tenant text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    DELETE FROM coatcheck.claimer AS c
    WHERE c.role_name = revoke_claims.role_name AND c.tenant = revoke_claims.tenant;
    IF EXISTS (SELECT FROM coatcheck.claimer AS c WHERE c.role_name = revoke_claims.role_name)
        OR NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = revoke_claims.role_name) THEN
        RETURN;
    END IF;
    EXECUTE format('REVOKE EXECUTE ON FUNCTION coatcheck.claim_media(uuid[], text), coatcheck.claim_media(uuid[], text, text), '
        'coatcheck.release_media(uuid[], text) FROM %I', revoke_claims.role_name);
    EXECUTE format('REVOKE USAGE ON SCHEMA coatcheck FROM %I', revoke_claims.role_name);
END
$function$;
-- +goose StatementEnd
COMMENT ON FUNCTION coatcheck.revoke_claims(name, text) IS
    'Takes back what coatcheck.grant_claims gave; with the role''s last tenant, its use of the schema too. For the owner of the schema. It may be repeated.';

-- Everybody may execute a new function until that is taken back.
REVOKE ALL ON FUNCTION
    coatcheck.claim_tenants(),
    coatcheck.check_claim(uuid[], text),
    coatcheck.refuse_media(uuid[], text[], text[], text[]),
    coatcheck.claim_within(uuid[], text, text),
    coatcheck.claim_media(uuid[], text),
    coatcheck.claim_media(uuid[], text, text),
    coatcheck.release_media(uuid[], text),
    coatcheck.grant_claims(name, text),
    coatcheck.revoke_claims(name, text)
FROM PUBLIC;

-- +goose Down
DROP FUNCTION coatcheck.revoke_claims(name, text);
DROP FUNCTION coatcheck.grant_claims(name, text);
DROP FUNCTION coatcheck.release_media(uuid[], text);
DROP FUNCTION coatcheck.claim_media(uuid[], text, text);
DROP FUNCTION coatcheck.claim_media(uuid[], text);
DROP FUNCTION coatcheck.claim_within(uuid[], text, text);
DROP FUNCTION coatcheck.refuse_media(uuid[], text[], text[], text[]);
DROP FUNCTION coatcheck.check_claim(uuid[], text);
DROP FUNCTION coatcheck.claim_tenants();
DROP TABLE coatcheck.claimer;
