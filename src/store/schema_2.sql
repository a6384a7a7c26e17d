-- JSON of Rust's `RecordingOptions`. Recordings from before had no choice: an object without keys is all defaults.
ALTER TABLE recordings ADD COLUMN options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options));

-- JSON of Rust's `QualityReport`: the one so far while a recording runs, then the last one. It can be a hundred times
-- as large as its recording's row, which is read far more often.
CREATE TABLE quality_reports (
    egress_id TEXT PRIMARY KEY REFERENCES recordings (egress_id) ON DELETE CASCADE,
    report    TEXT NOT NULL CHECK (json_valid(report))
) STRICT, WITHOUT ROWID;
