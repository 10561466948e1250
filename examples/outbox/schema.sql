-- A product's own tables, in the product's own database.
CREATE TABLE post (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    body  text NOT NULL
);

-- A picture is shown once it is claimed. "lost" asks the author to upload it once more.
CREATE TABLE picture (
    post_id  bigint NOT NULL REFERENCES post ON DELETE CASCADE,
    media_id uuid NOT NULL,
    state    text NOT NULL DEFAULT 'claiming' CHECK (state IN ('claiming', 'claimed', 'lost')),
    PRIMARY KEY (post_id, media_id)
);

-- What coatcheck is still to be told. A row is written in the transaction that makes it true.
CREATE TABLE media_outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action     text NOT NULL CHECK (action IN ('confirm', 'release')),
    owner      text NOT NULL,
    post_id    bigint NOT NULL,
    media_id   uuid NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT now(), -- of the next attempt; while one is under way, when it is given up
    last_error text,
    done_at    timestamptz,
    outcome    text -- "ok", or coatcheck's final refusal
);
CREATE INDEX media_outbox_due ON media_outbox (due_at) WHERE done_at IS NULL;
CREATE INDEX media_outbox_order ON media_outbox (media_id, id) WHERE done_at IS NULL;
