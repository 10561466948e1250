-- Reconciliations of the bucket with this table: see docs/reconciling.md.

-- +goose Up
-- An object that was adopted may be empty. The API refuses to presign an empty upload, as before. Not validated: no row
-- can break it, and a scan would hold up a large table.
ALTER TABLE coatcheck.media DROP CONSTRAINT media_size_bytes_check;
ALTER TABLE coatcheck.media ADD CONSTRAINT media_size_bytes_check CHECK (size_bytes >= 0) NOT VALID;

ALTER TABLE coatcheck.deployment ADD COLUMN database_identity text;
COMMENT ON COLUMN coatcheck.deployment.database_identity IS
    'Which Postgres cluster and timeline the last reconciliation was begun in. Another one is a restored copy, in which what is known of strays is as old as the copy.';

CREATE TABLE coatcheck.adopted_prefix (
    prefix     text COLLATE "C" PRIMARY KEY,
    adopted_at timestamptz NOT NULL
);
COMMENT ON TABLE coatcheck.adopted_prefix IS
    'Prefixes of the bucket, beside the one of the settings, that were brought under management: whatever no row explains below them is a stray.';

CREATE TABLE coatcheck.adoption (
    key    text COLLATE "C" PRIMARY KEY,
    claim  text NOT NULL CHECK (claim <> ''),
    tenant text NOT NULL CHECK (tenant <> ''),
    owner  text NOT NULL CHECK (owner <> '')
);
COMMENT ON TABLE coatcheck.adoption IS
    'What the list of an adoption says is in use, and has no row yet, also when the adoption is over: none of it is removed as a stray.';

CREATE TABLE coatcheck.reconciliation (
    id               uuid PRIMARY KEY,
    source           text NOT NULL CHECK (source <> ''),
    source_at        timestamptz,
    dry_run          boolean NOT NULL,
    adopt            boolean NOT NULL,
    adopt_prefix     text NOT NULL,
    policy           text NOT NULL CHECK (policy IN ('report', 'quarantine', 'delete')),
    quarantine       text NOT NULL,
    grace_seconds    double precision NOT NULL CHECK (grace_seconds > 0),
    max_stray_share  double precision NOT NULL CHECK (max_stray_share BETWEEN 0 AND 1),
    delete_budget    bigint NOT NULL CHECK (delete_budget >= 0),
    budget_left      bigint NOT NULL CHECK (budget_left BETWEEN 0 AND delete_budget),
    abort_seconds    double precision NOT NULL CHECK (abort_seconds > 0),
    estimate         bigint NOT NULL,
    phase            text NOT NULL CHECK (phase IN ('listing', 'removing', 'done')),
    outcome          text CHECK (outcome IN ('finished', 'tripped', 'abandoned')),
    explanation      text NOT NULL DEFAULT '',
    counts           jsonb,
    started_at       timestamptz NOT NULL,
    prior_started_at timestamptz,
    listed_at        timestamptz,
    finished_at      timestamptz,
    CONSTRAINT done_is_finished CHECK ((phase = 'done') = (finished_at IS NOT NULL) AND (phase = 'done') = (outcome IS NOT NULL))
);
COMMENT ON TABLE coatcheck.reconciliation IS
    'Runs of the reconciliation, with their settings. Any process may go on with one that is not done.';
CREATE UNIQUE INDEX reconciliation_one_at_a_time ON coatcheck.reconciliation ((true)) WHERE phase <> 'done';
CREATE INDEX reconciliation_started ON coatcheck.reconciliation (started_at);

-- A shard is the keys that begin with prefix, above after, and up to and including until (empty: no bound). Everything
-- up to and including position has been dealt with and is in counts: both change in the transaction that records what was
-- found there, so that a run that was killed goes on without losing or doubling anything.
CREATE TABLE coatcheck.reconciliation_shard (
    run_id       uuid NOT NULL REFERENCES coatcheck.reconciliation ON DELETE CASCADE,
    number       integer NOT NULL,
    prefix       text COLLATE "C" NOT NULL,
    after        text COLLATE "C" NOT NULL,
    until        text COLLATE "C" NOT NULL,
    position     bytea NOT NULL DEFAULT '',
    phase        text NOT NULL DEFAULT 'listing' CHECK (phase IN ('listing', 'listed', 'removed')),
    lease        uuid,
    leased_until timestamptz,
    counts       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, number)
);

CREATE TABLE coatcheck.reconciliation_finding (
    run_id     uuid NOT NULL REFERENCES coatcheck.reconciliation ON DELETE CASCADE,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    kind       text NOT NULL CHECK (kind <> ''),
    key        text COLLATE "C" NOT NULL,
    media_id   uuid,
    size_bytes bigint,
    detail     text NOT NULL,
    found_at   timestamptz NOT NULL,
    PRIMARY KEY (run_id, id)
);
COMMENT ON TABLE coatcheck.reconciliation_finding IS
    'What a run found and what became of it, but for strays and missing objects, which have tables of their own.';

CREATE TABLE coatcheck.stray (
    key           text COLLATE "C" PRIMARY KEY,
    size_bytes    bigint NOT NULL,
    etag          text NOT NULL,
    version_id    text NOT NULL DEFAULT '',
    last_modified timestamptz NOT NULL,
    ours          boolean NOT NULL,
    first_seen_at timestamptz NOT NULL,
    first_run     uuid NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    last_run      uuid NOT NULL,
    deleting_at   timestamptz,
    removed_at    timestamptz,
    removed_to    text,
    attempts      integer NOT NULL DEFAULT 0,
    last_error    text
);
COMMENT ON TABLE coatcheck.stray IS
    'Objects that no row explains, as they were when they were last seen. deleting_at is the intent to remove one, removed_at says that S3 has confirmed it.';

CREATE TABLE coatcheck.missing (
    media_id      uuid PRIMARY KEY,
    key           text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    first_run     uuid NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    last_run      uuid NOT NULL
);
COMMENT ON TABLE coatcheck.missing IS
    'Media that have landed and are not on their way out, and whose object S3 does not have.';
CREATE INDEX missing_by_key ON coatcheck.missing (key);

-- +goose Down
DROP TABLE coatcheck.missing;
DROP TABLE coatcheck.stray;
DROP TABLE coatcheck.reconciliation_finding;
DROP TABLE coatcheck.reconciliation_shard;
DROP TABLE coatcheck.reconciliation;
DROP TABLE coatcheck.adoption;
DROP TABLE coatcheck.adopted_prefix;
ALTER TABLE coatcheck.deployment DROP COLUMN database_identity;
ALTER TABLE coatcheck.media DROP CONSTRAINT media_size_bytes_check;
ALTER TABLE coatcheck.media ADD CONSTRAINT media_size_bytes_check CHECK (size_bytes > 0) NOT VALID;
