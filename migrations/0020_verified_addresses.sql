-- Which addresses of users are proven to be theirs. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts
-- only there.

-- The address that was proven, null if none was. It counts only while it equals `email`: a change of address by a server of
-- an earlier version, which does not know this column, makes the user unverified as well.
ALTER TABLE users ADD COLUMN verified_email TEXT;

-- The address that a temporary password was mailed to; null for one that an operator was told, and for permanent ones.
ALTER TABLE passwords ADD COLUMN mailed_to TEXT;

-- What a request of somebody who is not signed in asks to be mailed: 0 = a temporary password, 1 = the username.
ALTER TABLE password_requests ADD COLUMN wanted BIGINT NOT NULL DEFAULT 0;

-- When a user was mailed what anybody can ask for, or a link to verify the address: at most a day's worth, for the limits.
CREATE TABLE requested_mails (
  pid     BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  kind    BIGINT NOT NULL, -- 1 = the username, 2 = a link
  sent_at BIGINT NOT NULL,
  PRIMARY KEY (pid, user_id, kind, sent_at),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('requested_mails', 'requested_mails', '1000 100 2 2 1');
--@sqlite ANALYZE sqlite_schema;
