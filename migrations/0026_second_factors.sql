-- Second factors of users, and the policies of partners. As 0001: a line that begins with "--@sqlite " or "--@postgres "
-- counts only there.

-- The secret of a user's authenticator app (RFC 6238).
CREATE TABLE totp_secrets (
  pid          BIGINT NOT NULL,
  user_id      BIGINT NOT NULL,
  secret       TEXT   NOT NULL, -- sealed with the master key
  last_step    BIGINT NOT NULL, -- the step of the newest code that was used: it and earlier ones are refused
  created_at   BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL, -- 0 = the user has not typed a first code yet: it is no factor
  used_at      BIGINT NOT NULL, -- 0 = never
  PRIMARY KEY (pid, user_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

-- Codes to sign in with when the other factors are lost.
CREATE TABLE recovery_codes (
  pid        BIGINT NOT NULL,
  user_id    BIGINT NOT NULL,
  code_hash  TEXT   NOT NULL, -- base64url of SHA-256; each code has 80 random bits
  created_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL, -- 0 = never; a code is good once
  PRIMARY KEY (pid, user_id, code_hash),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

-- Browsers in which a user is not asked for a second factor again.
CREATE TABLE remembered_devices (
  pid        BIGINT NOT NULL,
  user_id    BIGINT NOT NULL,
  token_hash TEXT   NOT NULL, -- base64url of SHA-256 of the cookie
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (pid, user_id, token_hash),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX remembered_devices_by_expiry ON remembered_devices (expires_at);

-- The policies of a partner; the settings of the server are their floor.
ALTER TABLE partners ADD COLUMN second_factor BIGINT NOT NULL DEFAULT 0;   -- 0 = off, 1 = optional, 2 = admins, 3 = everybody
ALTER TABLE partners ADD COLUMN admins_since BIGINT NOT NULL DEFAULT 0;    -- since when admins need one; 0 = they do not
ALTER TABLE partners ADD COLUMN everybody_since BIGINT NOT NULL DEFAULT 0; -- since when every user needs one
ALTER TABLE partners ADD COLUMN password_policy BIGINT NOT NULL DEFAULT 0; -- 0 = the server's, 1 = contract, 2 = nist
ALTER TABLE partners ADD COLUMN policy_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE partners ADD COLUMN policy_updated_at BIGINT NOT NULL DEFAULT 0;

-- Since when the server requires a second factor, by what its setting says: 2 = admins, 3 = everybody.
CREATE TABLE second_factor_floors (
  level BIGINT NOT NULL PRIMARY KEY,
  since BIGINT NOT NULL
)
--@sqlite WITHOUT ROWID
;

-- Whether users who have a second factor may log in with the password alone through this client (grant type password).
ALTER TABLE clients ADD COLUMN password_alone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE product_clients ADD COLUMN password_alone BIGINT NOT NULL DEFAULT 0;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('totp_secrets', 'totp_secrets', '1000000 100000 1'),
--@sqlite   ('recovery_codes', 'recovery_codes', '10000000 1000000 10 1'),
--@sqlite   ('remembered_devices', 'remembered_devices', '1000000 100000 2 1'),
--@sqlite   ('remembered_devices', 'remembered_devices_by_expiry', '1000000 10'),
--@sqlite   ('second_factor_floors', 'second_factor_floors', '2 1');
--@sqlite ANALYZE sqlite_schema;
