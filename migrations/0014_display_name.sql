-- A name to be shown of a user, null until it is set. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts
-- only there.

ALTER TABLE users ADD COLUMN display_name TEXT;
ALTER TABLE users ADD COLUMN display_name_key FOLDED_TEXT NOT NULL DEFAULT '';
--@sqlite   CREATE INDEX users_by_display_name ON users (pid, display_name_key);
--@postgres CREATE INDEX users_by_display_name ON users (pid, display_name_key, user_id);
-- PostgreSQL's index of texts (users_search) stays as it is: an older version uses it, and a large one takes long to make.
--@postgres CREATE INDEX users_search_display_name ON users USING gin (pid, display_name_key gin_trgm_ops) WHERE display_name_key <> '';

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('users', 'users_by_display_name', '1000000 100000 2');
--@sqlite ANALYZE sqlite_schema;
