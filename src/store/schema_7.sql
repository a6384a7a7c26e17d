-- "One recording a room" is a rule of the door that a recording came through, not of recordings: that door fills this
-- column, others leave it empty.
ALTER TABLE recordings ADD COLUMN exclusive_room TEXT;

-- All that there is came through the REST door, which has the rule.
UPDATE recordings SET exclusive_room = room;

DROP INDEX one_live_recording_a_room;

-- The one place that makes two racing starts one recording.
CREATE UNIQUE INDEX one_live_exclusive_recording_a_room ON recordings (exclusive_room)
    WHERE phase IN ('starting', 'active');

CREATE INDEX recordings_of_an_exclusive_room ON recordings (exclusive_room, started_at)
    WHERE exclusive_room IS NOT NULL;
