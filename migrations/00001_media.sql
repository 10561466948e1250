-- +goose Up
CREATE TABLE coatcheck.deployment (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    bucket     text NOT NULL,
    key_prefix text NOT NULL
);
COMMENT ON TABLE coatcheck.deployment IS
    'Which bucket and prefix the rows of coatcheck.media speak of. Written once; a process that is set to another one refuses to start, since it would delete in the wrong place.';

CREATE TABLE coatcheck.media (
    id               uuid PRIMARY KEY,
    tenant           text NOT NULL CHECK (tenant <> ''),
    owner            text NOT NULL CHECK (owner <> ''),
    key              text COLLATE "C" NOT NULL UNIQUE,
    state            text NOT NULL CHECK (state IN ('pending', 'uploaded', 'confirmed', 'deleting', 'deleted')),
    reason           text CHECK (reason IN ('never_uploaded', 'unclaimed', 'cancelled', 'released', 'rejected', 'late')),

    content_type     text NOT NULL,
    size_bytes       bigint NOT NULL CHECK (size_bytes > 0),
    checksum_sha256  bytea CHECK (octet_length(checksum_sha256) = 32),
    file_name        text NOT NULL DEFAULT '',
    metadata         jsonb,
    idempotency_key  text CHECK (idempotency_key <> ''),
    created_at       timestamptz NOT NULL,
    url_expires_at   timestamptz NOT NULL,

    landed_at        timestamptz,
    landed_by        text CHECK (landed_by IN ('notification', 'confirm', 'reconcile', 'sweep')),
    etag             text,
    version_id       text,
    sequencer        text COLLATE "C" CHECK (length(sequencer) = 40),

    claim            text CHECK (claim <> ''),
    confirmed_at     timestamptz,

    deleting_at      timestamptz,
    deleted_at       timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    last_error       text,

    due_at           timestamptz,
    revision         bigint NOT NULL DEFAULT 1,

    CONSTRAINT reason_iff_going CHECK ((reason IS NOT NULL) = (state IN ('deleting', 'deleted'))),
    CONSTRAINT landing_is_whole CHECK ((landed_at IS NULL) = (landed_by IS NULL)),
    CONSTRAINT pending_has_not_landed CHECK (state <> 'pending' OR landed_at IS NULL),
    CONSTRAINT uploaded_has_landed CHECK (state NOT IN ('uploaded', 'confirmed') OR landed_at IS NOT NULL),
    CONSTRAINT confirmed_has_a_claim CHECK (state <> 'confirmed' OR (claim IS NOT NULL AND confirmed_at IS NOT NULL)),
    CONSTRAINT unconfirmed_has_no_claim CHECK (state NOT IN ('pending', 'uploaded') OR claim IS NULL),
    CONSTRAINT deleting_since CHECK (state NOT IN ('deleting', 'deleted') OR deleting_at IS NOT NULL),
    CONSTRAINT deleted_since CHECK (state <> 'deleted' OR deleted_at IS NOT NULL),
    -- The sweeper looks at what is due. What is confirmed never is (R1).
    CONSTRAINT confirmed_is_never_due CHECK ((state = 'confirmed') = (due_at IS NULL))
);

-- All that a sweep reads: it has no entry for a CONFIRMED row, so a sweep's cost does not grow with their number.
CREATE INDEX media_due ON coatcheck.media (state, due_at) WHERE due_at IS NOT NULL;

CREATE UNIQUE INDEX media_idempotency ON coatcheck.media (tenant, owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND state IN ('pending', 'uploaded', 'confirmed');

-- ListMedia: newest first, by owner or of a whole tenant.
CREATE INDEX media_by_owner ON coatcheck.media (tenant, owner, id DESC);
CREATE INDEX media_by_tenant ON coatcheck.media (tenant, id DESC);

-- A hot, ever-changing table: vacuum the dead versions of its small hot part before they are many.
ALTER TABLE coatcheck.media SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- +goose Down
DROP TABLE coatcheck.media;
DROP TABLE coatcheck.deployment;
