-- Passkeys (WebAuthn credentials). As 0001: a line that begins with "--@sqlite " or "--@postgres " counts only there.

CREATE TABLE passkeys (
  pid             BIGINT NOT NULL,
  user_id         BIGINT NOT NULL,
  passkey_id      TEXT   NOT NULL, -- random; the API and the pages call it that
  credential_id   TEXT   NOT NULL, -- base64url, as all of these
  user_handle     TEXT   NOT NULL, -- random; what authenticators call the user
  public_key      TEXT   NOT NULL, -- COSE_Key (RFC 9052 section 7)
  sign_count      BIGINT NOT NULL, -- of the last signature; 0 = the authenticator does not count
  transports      TEXT   NOT NULL, -- hints for browsers, separated by spaces
  backup_eligible BIGINT NOT NULL, -- it can be on several devices
  backed_up       BIGINT NOT NULL,
  name            TEXT   NOT NULL,
  created_at      BIGINT NOT NULL,
  last_used_at    BIGINT NOT NULL, -- 0 = not used yet
  PRIMARY KEY (pid, user_id, passkey_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

-- As usernames, not led by the partner: whoever signs in with a passkey types no name. A credential is registered once.
CREATE TABLE passkey_credentials (
  credential_hash TEXT   NOT NULL PRIMARY KEY, -- base64url of SHA-256 of the credential id
  pid             BIGINT NOT NULL,
  user_id         BIGINT NOT NULL,
  passkey_id      TEXT   NOT NULL,
  FOREIGN KEY (pid, user_id, passkey_id) REFERENCES passkeys (pid, user_id, passkey_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX passkey_credentials_by_passkey ON passkey_credentials (pid, user_id, passkey_id);

-- Challenges that were answered, until they expire: no answer is good twice.
CREATE TABLE passkey_challenges (
  pid        BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  challenge  TEXT   NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (pid, challenge)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at);

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('passkeys', 'passkeys', '1000000 100000 2 1'),
--@sqlite   ('passkey_credentials', 'passkey_credentials', '1000000 1'),
--@sqlite   ('passkey_credentials', 'passkey_credentials_by_passkey', '1000000 100000 2 1'),
--@sqlite   ('passkey_challenges', 'passkey_challenges', '10000 1000 1'),
--@sqlite   ('passkey_challenges', 'passkey_challenges_by_expiry', '10000 10');
--@sqlite ANALYZE sqlite_schema;
