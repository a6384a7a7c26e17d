-- When the recording's timeline began, by the wall clock; null until a worker has told it.
ALTER TABLE recordings ADD COLUMN zero INTEGER;

-- How the recording is to end once its file is stored, in `control`'s own words; null while it takes in media.
ALTER TABLE recordings ADD COLUMN verdict TEXT CHECK (verdict IS NULL OR json_valid(verdict));
