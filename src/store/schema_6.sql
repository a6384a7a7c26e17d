-- Where a webhook comes from: registered by a call, or set in the configuration.
ALTER TABLE webhooks ADD COLUMN source TEXT NOT NULL DEFAULT 'api' CHECK (source IN ('api', 'config'));

-- Deliveries in the order in which their events happened, with the recording that they tell of: of one recording and
-- one webhook the earlier is sent before the later.
CREATE TABLE ordered_deliveries (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    webhook_id      TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    egress_id       TEXT NOT NULL,
    event           TEXT NOT NULL,
    body            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- How often somebody asked for it to be sent again, and the attempts that have failed since.
    resent          INTEGER NOT NULL DEFAULT 0,
    failures        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    finished_at     INTEGER,
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;

-- Of what was there before, nobody noted when it was made. `next_attempt_at` is close: it was moved by six minutes at most.
INSERT INTO ordered_deliveries
    (id, webhook_id, egress_id, event, body, created_at, state, failures, next_attempt_at, finished_at)
SELECT id, webhook_id, json_extract(body, '$.egressId'), event, body, next_attempt_at, state, attempts,
       next_attempt_at, iif(state = 'pending', NULL, next_attempt_at)
FROM deliveries ORDER BY rowid;

-- What became of each attempt; without a reason it was answered with a 2xx.
CREATE TABLE delivery_attempts (
    delivery INTEGER NOT NULL REFERENCES ordered_deliveries (number) ON DELETE CASCADE,
    number   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    took_ms  INTEGER NOT NULL,
    status   INTEGER,
    reason   TEXT,
    CHECK (status IS NOT NULL OR reason IS NOT NULL),
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_attempts (delivery, number, at, took_ms, status, reason)
SELECT ordered_deliveries.number, attempts, deliveries.next_attempt_at, 0, last_status, last_error
FROM deliveries JOIN ordered_deliveries USING (id)
WHERE deliveries.state <> 'pending' AND (last_status IS NOT NULL OR last_error IS NOT NULL);

DROP TABLE deliveries;
ALTER TABLE ordered_deliveries RENAME TO deliveries;

CREATE INDEX pending_deliveries ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX pending_deliveries_of_a_recording ON deliveries (webhook_id, egress_id, number) WHERE state = 'pending';
CREATE INDEX deliveries_of_a_webhook ON deliveries (webhook_id, number);
CREATE INDEX deliveries_in_a_state ON deliveries (webhook_id, state, number);
CREATE INDEX finished_deliveries ON deliveries (finished_at) WHERE state <> 'pending';
