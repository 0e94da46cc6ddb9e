-- Optional: an index over the names from the back, so that Resolua finds empty
-- non-terminals in large zones without a walk over the zone.  Other programs
-- need not know of the column: the database fills it.

ALTER TABLE records
    ADD COLUMN reversed_name VARCHAR(255) AS (REVERSE(name)) STORED,
    ADD KEY domain_reversed_name (domain_id, reversed_name);
