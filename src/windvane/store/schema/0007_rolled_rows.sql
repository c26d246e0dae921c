-- How many samples the day's partition and the next one had when the day was rolled. A deletion gives every partition
-- a new mutation number; only those that it took rows from are rolled again. -1: rolled before this was noted.
ALTER TABLE rolled_days ADD COLUMN IF NOT EXISTS Rows Int64 DEFAULT -1 AFTER NextChanges;
ALTER TABLE rolled_days ADD COLUMN IF NOT EXISTS NextRows Int64 DEFAULT -1 AFTER Rows;
