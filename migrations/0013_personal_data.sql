-- Personal data goes when its time is over, and cursors are authenticated. As 0001: a line that begins with "--@sqlite "
-- or "--@postgres " counts only there.

-- Erased users whose events may still hold personal values: the worker blanks them in steps (domain/erasures.rs). No
-- reference to partners: the row outlives them.
CREATE TABLE erasures (
  pid         BIGINT NOT NULL,
  user_id     BIGINT NOT NULL, -- 0 = every user of a deleted partner
  after_event BIGINT NOT NULL, -- the events up to this one are blanked
  PRIMARY KEY (pid, user_id)
)
--@sqlite WITHOUT ROWID
;

-- Events that hold the address a session was opened from, and when the address goes: at the latest end of the session
-- when the row is written, corrected when the session ends sooner or has been extended.
CREATE TABLE session_addresses (
  pid        BIGINT NOT NULL,
  session_id TEXT   NOT NULL,
  event_id   BIGINT NOT NULL,
  erase_at   BIGINT NOT NULL,
  PRIMARY KEY (pid, session_id, event_id)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX session_addresses_by_time ON session_addresses (erase_at);

-- Which users a stored response (kept_answers) shows, so that it goes with them. (pid, key_hash) is the response, which
-- an operator's request has stored under 0; user_pid is the user's partner.
CREATE TABLE stored_response_users (
  pid      BIGINT NOT NULL,
  key_hash TEXT   NOT NULL,
  user_pid BIGINT NOT NULL,
  user_id  BIGINT NOT NULL,
  PRIMARY KEY (pid, key_hash, user_pid, user_id),
  FOREIGN KEY (pid, key_hash) REFERENCES kept_answers (pid, key_hash) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX stored_response_users_by_user ON stored_response_users (user_pid, user_id);

-- Keys that all servers of a database share, made by the first that needs one.
CREATE TABLE server_keys (
  name       TEXT   NOT NULL PRIMARY KEY,
  key        TEXT   NOT NULL, -- base64url
  created_at BIGINT NOT NULL
)
--@sqlite WITHOUT ROWID
;

-- Users and partners that were erased before this version: their events are blanked as well.
INSERT INTO erasures (pid, user_id, after_event)
SELECT DISTINCT e.pid, e.user_id, 0 FROM events e
WHERE e.kind IN ('user.deleted', 'user.erased') AND e.user_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM users u WHERE u.pid = e.pid AND u.user_id = e.user_id)
  AND NOT EXISTS (SELECT 1 FROM deleted_users d WHERE d.pid = e.pid AND d.user_id = e.user_id);
INSERT INTO erasures (pid, user_id, after_event)
SELECT DISTINCT e.pid, 0, 0 FROM events e
WHERE e.kind = 'partner.deleted' AND NOT EXISTS (SELECT 1 FROM partners p WHERE p.pid = e.pid);

-- Addresses of sessions that were opened before this version. When one that is gone has ended is not known: its address
-- goes 30 days after it was opened.
INSERT INTO session_addresses (pid, session_id, event_id, erase_at)
SELECT e.pid, coalesce(s.session_id, ''), e.event_id, coalesce(s.expires_at, e.at) + 2592000000
FROM events e LEFT JOIN sessions s ON s.pid = e.pid AND s.user_id = e.user_id AND s.created_at = e.at
WHERE e.kind = 'session.started' AND e.user_id IS NOT NULL;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('erasures', 'erasures', '1000 100 1'),
--@sqlite   ('session_addresses', 'session_addresses', '1000000 100000 1 1'),
--@sqlite   ('session_addresses', 'session_addresses_by_time', '1000000 10'),
--@sqlite   ('stored_response_users', 'stored_response_users', '100000 10000 1 1 1'),
--@sqlite   ('stored_response_users', 'stored_response_users_by_user', '100000 10000 1'),
--@sqlite   ('server_keys', 'server_keys', '4 1');
--@sqlite ANALYZE sqlite_schema;
