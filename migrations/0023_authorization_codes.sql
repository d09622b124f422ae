-- Authorization codes, and what ID tokens say about the sign-in of a session. As 0001: a line that begins with "--@sqlite "
-- or "--@postgres " counts only there.

-- A code ends with its browser session. An exchanged one is kept for a while: its second use ends the session that the
-- first one opened (domain/authorization_codes.rs).
CREATE TABLE authorization_codes (
  pid             BIGINT NOT NULL,
  code_hash       TEXT   NOT NULL, -- base64url of SHA-256; the code itself is stored nowhere
  client_id       TEXT   NOT NULL,
  user_id         BIGINT NOT NULL,
  browser_session TEXT   NOT NULL,
  redirect_uri    TEXT   NOT NULL,
  challenge       TEXT,            -- PKCE, S256
  nonce           TEXT,
  scopes          BIGINT NOT NULL,
  auth_time       BIGINT NOT NULL,
  acr             BIGINT NOT NULL,
  amr             BIGINT NOT NULL,
  id_token_claims BIGINT NOT NULL, -- single claims, as bits (domain/claims.rs)
  userinfo_claims BIGINT NOT NULL,
  expires_at      BIGINT NOT NULL,
  used_at         BIGINT NOT NULL, -- 0 = not exchanged
  session_id      TEXT,            -- the session that it was exchanged for
  PRIMARY KEY (pid, code_hash),
  FOREIGN KEY (pid, browser_session) REFERENCES browser_sessions (pid, session_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX authorization_codes_by_browser ON authorization_codes (pid, browser_session);
CREATE INDEX authorization_codes_by_expiry  ON authorization_codes (expires_at);

-- How the user of a session signed in, if that was on the pages, and which single claims its client requested.
ALTER TABLE sessions ADD COLUMN auth_time BIGINT NOT NULL DEFAULT 0; -- 0 = not on the pages
ALTER TABLE sessions ADD COLUMN acr BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN amr BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN id_token_claims BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN userinfo_claims BIGINT NOT NULL DEFAULT 0;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('authorization_codes', 'authorization_codes', '100000 10000 1'),
--@sqlite   ('authorization_codes', 'authorization_codes_by_browser', '100000 10000 1'),
--@sqlite   ('authorization_codes', 'authorization_codes_by_expiry', '100000 10');
--@sqlite ANALYZE sqlite_schema;
