-- Sessions of browsers, which sign in by the pages. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts
-- only there.

CREATE TABLE browser_sessions (
  pid          BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  session_id   TEXT   NOT NULL,
  cookie_hash  TEXT   NOT NULL, -- base64url of SHA-256; the cookie itself is stored nowhere
  user_id      BIGINT NOT NULL,
  restricted   BIGINT NOT NULL, -- signed in with a temporary or expired password (B22)
  kept         BIGINT NOT NULL, -- "keep me signed in"
  created_at   BIGINT NOT NULL,
  auth_time    BIGINT NOT NULL, -- when the person last gave the password
  acr          BIGINT NOT NULL,
  amr          BIGINT NOT NULL, -- bits: 1 = pwd
  last_seen_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL, -- the end, unless it is used again
  ends_at      BIGINT NOT NULL, -- the end, even if it is used
  address      TEXT,
  user_agent   TEXT,
  PRIMARY KEY (pid, session_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE UNIQUE INDEX browser_sessions_by_cookie ON browser_sessions (pid, cookie_hash);
CREATE INDEX browser_sessions_by_user   ON browser_sessions (pid, user_id);
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_at);

-- The browser session in which the tokens of a session were requested; it ends them when it ends. Null for others.
ALTER TABLE sessions ADD COLUMN browser_session TEXT;
CREATE INDEX sessions_by_browser ON sessions (pid, browser_session) WHERE browser_session IS NOT NULL;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('browser_sessions', 'browser_sessions', '1000000 100000 1'),
--@sqlite   ('browser_sessions', 'browser_sessions_by_cookie', '1000000 100000 1'),
--@sqlite   ('browser_sessions', 'browser_sessions_by_user', '1000000 100000 2'),
--@sqlite   ('browser_sessions', 'browser_sessions_by_expiry', '1000000 10'),
--@sqlite   ('sessions', 'sessions_by_browser', '1000000 100000 2');
--@sqlite ANALYZE sqlite_schema;
