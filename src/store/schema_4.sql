-- Uploads in parts that may still be in a store: written down before they are begun, removed when the object is whole
-- or the parts are known to be gone. Of several of one recording the newest is the one in use.
CREATE TABLE uploads (
    number    INTEGER PRIMARY KEY,
    egress_id TEXT NOT NULL REFERENCES recordings (egress_id) ON DELETE CASCADE,
    store     TEXT NOT NULL CHECK (store IN ('primary', 'fallback')),
    -- Which of the keys that follow the reserved one, counted from 1.
    choice    INTEGER NOT NULL CHECK (choice >= 1),
    -- NULL: nobody knows whether it was begun.
    upload_id TEXT,
    -- Bytes at the start of the media that may be gone from the spool, since the store had them.
    released  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (egress_id, store, choice)
) STRICT;

-- Where the file of a recording lies.
ALTER TABLE recordings ADD COLUMN store TEXT NOT NULL DEFAULT 'primary' CHECK (store IN ('primary', 'fallback'));
