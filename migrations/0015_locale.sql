-- The language of a user, null until it is set. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts only
-- there.

ALTER TABLE users ADD COLUMN locale TEXT;
ALTER TABLE users ADD COLUMN locale_key FOLDED_TEXT NOT NULL DEFAULT '';
--@sqlite   CREATE INDEX users_by_locale ON users (pid, locale_key);
--@postgres CREATE INDEX users_by_locale ON users (pid, locale_key, user_id);

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('users', 'users_by_locale', '1000000 100000 20000');
--@sqlite ANALYZE sqlite_schema;
