-- Times are Unix milliseconds. Phases and states are the words of the Rust enums.

CREATE TABLE recordings (
    egress_id      TEXT PRIMARY KEY,
    room           TEXT NOT NULL,
    phase          TEXT NOT NULL
                   CHECK (phase IN ('starting', 'active', 'stopping', 'uploading', 'complete', 'failed')),
    started_at     INTEGER NOT NULL,
    object_key     TEXT NOT NULL UNIQUE,
    first_media_at INTEGER,
    ended_at       INTEGER,
    file           TEXT,
    duration_s     INTEGER NOT NULL DEFAULT 0,
    size           INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    CHECK ((phase IN ('complete', 'failed')) = (ended_at IS NOT NULL)),
    CHECK ((phase = 'failed') = (error IS NOT NULL)),
    CHECK (phase <> 'complete' OR file IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- The one place that makes two racing starts one recording.
CREATE UNIQUE INDEX one_live_recording_a_room ON recordings (room) WHERE phase IN ('starting', 'active');

CREATE INDEX unfinished_recordings ON recordings (started_at)
    WHERE phase IN ('starting', 'active', 'stopping', 'uploading');

CREATE INDEX recordings_of_a_room ON recordings (room, started_at);

CREATE TABLE webhooks (
    id         TEXT PRIMARY KEY,
    url        TEXT NOT NULL,
    secret     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- `event` is an exact name or '*'; `position` keeps the order in which they were given.
CREATE TABLE webhook_events (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event      TEXT NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id              TEXT PRIMARY KEY,
    webhook_id      TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event           TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    last_status     INTEGER,
    last_error      TEXT
) STRICT;

CREATE INDEX pending_deliveries ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_of_a_webhook ON deliveries (webhook_id);
