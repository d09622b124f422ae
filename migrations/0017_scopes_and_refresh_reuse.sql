-- What a token may be used for, and what a refresh token was exchanged for. As 0001: a line that begins with "--@sqlite " or
-- "--@postgres " counts only there.

-- The scopes granted to a session, and those of an access token, which may be fewer: 1 = read, 2 = write, 3 = both. A
-- server of an earlier version stores both, whose meaning there was the same.
ALTER TABLE sessions ADD COLUMN scopes BIGINT NOT NULL DEFAULT 3;
ALTER TABLE access_tokens ADD COLUMN scopes BIGINT NOT NULL DEFAULT 3;

-- The refresh token that was issued for this one, sealed with this one (domain/refresh.rs), so that only its bearer can be
-- given that one again. Null before it is used, and again soon afterwards.
ALTER TABLE refresh_tokens ADD COLUMN successor TEXT;
CREATE INDEX refresh_tokens_by_use ON refresh_tokens (used_at) WHERE successor IS NOT NULL;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('refresh_tokens', 'refresh_tokens_by_use', '100 2');
--@sqlite ANALYZE sqlite_schema;
