-- Parts of samples are merged eight at once, not two or three: fewer rewrites of the same sample while much is
-- written, and what has just come can be read (windvane.promql.head) before it is part of something large.

ALTER TABLE samples MODIFY SETTING min_parts_to_merge_at_once = 8;
