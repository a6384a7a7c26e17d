-- Lists of recordings, newest first, page by page: of all, of a room, of a phase.
CREATE INDEX recordings_by_time ON recordings (started_at, egress_id);
CREATE INDEX recordings_of_a_phase ON recordings (phase, started_at, egress_id);
DROP INDEX recordings_of_a_room;
CREATE INDEX recordings_of_a_room ON recordings (room, started_at, egress_id);
