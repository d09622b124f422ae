-- One file for both databases. A line that begins with "--@sqlite " or "--@postgres " counts only there
-- (storage/migrate.rs). Times are milliseconds since 1970. Columns that end in _key hold the folded form
-- strings are compared by (domain/values.rs); an optional one is '' for null and U+0001 before the rest
-- otherwise, so that null comes first and keys are never NULL. Their type compares byte by byte: SQLite takes any
-- name with TEXT in it for text, and on PostgreSQL the database's own collation must not decide an order.

--@postgres CREATE DOMAIN folded_text AS TEXT COLLATE "C";

CREATE TABLE partners (
  pid        BIGINT NOT NULL PRIMARY KEY,
  name       TEXT   NOT NULL,
  name_key   FOLDED_TEXT NOT NULL UNIQUE,
  suspended  BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

CREATE TABLE users (
  pid              BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  --@sqlite user_id          INTEGER PRIMARY KEY, -- the rowid: the shortest way to a user, and small pages above it
  --@postgres user_id          BIGINT NOT NULL,
  username         TEXT   NOT NULL,
  status           BIGINT NOT NULL,
  first_name       TEXT   NOT NULL,
  last_name        TEXT   NOT NULL,
  email            TEXT   NOT NULL,
  title            TEXT,
  phone_number     TEXT,
  is_admin         BIGINT NOT NULL,
  external_id      TEXT,
  created_at       BIGINT NOT NULL,
  updated_at       BIGINT NOT NULL,
  last_login_at    BIGINT NOT NULL DEFAULT 0, -- 0 = never
  username_key     FOLDED_TEXT NOT NULL,
  first_name_key   FOLDED_TEXT NOT NULL,
  last_name_key    FOLDED_TEXT NOT NULL,
  email_key        FOLDED_TEXT NOT NULL,
  title_key        FOLDED_TEXT NOT NULL,
  phone_number_key FOLDED_TEXT NOT NULL,
  external_id_key  FOLDED_TEXT NOT NULL,
  failed_logins    BIGINT NOT NULL DEFAULT 0, -- in a row (B23)
  refused_until    BIGINT NOT NULL DEFAULT 0, -- the last admin's logins are refused until then (B23)
  held_email       TEXT,                      -- the address before a self-made change (B25)
  held_until       BIGINT NOT NULL DEFAULT 0, -- password mail goes to held_email until then
  --@sqlite UNIQUE (pid, user_id)
  --@postgres PRIMARY KEY (pid, user_id)
);
-- Each order of a list has an index. SQLite puts the rowid, which is the user's number, at the end of each by itself,
-- and only there can a keyset page seek by it.
--@sqlite   CREATE INDEX users_by_username ON users (pid, username_key);
--@postgres CREATE INDEX users_by_username ON users (pid, username_key, user_id);
--@sqlite   CREATE INDEX users_by_status ON users (pid, status);
--@postgres CREATE INDEX users_by_status ON users (pid, status, user_id);
--@sqlite   CREATE INDEX users_by_first_name ON users (pid, first_name_key);
--@postgres CREATE INDEX users_by_first_name ON users (pid, first_name_key, user_id);
--@sqlite   CREATE INDEX users_by_last_name ON users (pid, last_name_key);
--@postgres CREATE INDEX users_by_last_name ON users (pid, last_name_key, user_id);
--@sqlite   CREATE INDEX users_by_email ON users (pid, email_key);
--@postgres CREATE INDEX users_by_email ON users (pid, email_key, user_id);
--@sqlite   CREATE INDEX users_by_title ON users (pid, title_key);
--@postgres CREATE INDEX users_by_title ON users (pid, title_key, user_id);
--@sqlite   CREATE INDEX users_by_phone_number ON users (pid, phone_number_key);
--@postgres CREATE INDEX users_by_phone_number ON users (pid, phone_number_key, user_id);
--@sqlite   CREATE INDEX users_by_is_admin ON users (pid, is_admin);
--@postgres CREATE INDEX users_by_is_admin ON users (pid, is_admin, user_id);
--@sqlite   CREATE INDEX users_by_external_id ON users (pid, external_id_key);
--@postgres CREATE INDEX users_by_external_id ON users (pid, external_id_key, user_id);
--@sqlite   CREATE INDEX users_by_created_at ON users (pid, created_at);
--@postgres CREATE INDEX users_by_created_at ON users (pid, created_at, user_id);
--@sqlite   CREATE INDEX users_by_updated_at ON users (pid, updated_at);
--@postgres CREATE INDEX users_by_updated_at ON users (pid, updated_at, user_id);
--@sqlite   CREATE INDEX users_by_last_login ON users (pid, last_login_at);
--@postgres CREATE INDEX users_by_last_login ON users (pid, last_login_at, user_id);
CREATE UNIQUE INDEX users_external_id ON users (pid, external_id);
CREATE INDEX users_active_admins ON users (pid, user_id) WHERE is_admin = 1 AND status = 0;

-- The one table that the partner does not lead: usernames are unique on the whole server (B8).
CREATE TABLE usernames (
  name_key FOLDED_TEXT NOT NULL PRIMARY KEY,
  pid      BIGINT NOT NULL,
  user_id  BIGINT NOT NULL,
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX usernames_by_user ON usernames (pid, user_id);

CREATE TABLE passwords (
  pid         BIGINT NOT NULL,
  user_id     BIGINT NOT NULL,
  password_id BIGINT NOT NULL,
  hash        TEXT   NOT NULL,
  temporary   BIGINT NOT NULL,
  present     BIGINT NOT NULL, -- good for a login; a former one is kept for the history of 12
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL, -- 0 = never
  PRIMARY KEY (pid, user_id, password_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

CREATE TABLE groups (
  pid              BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  group_id         BIGINT NOT NULL,
  name             TEXT   NOT NULL,
  name_key         FOLDED_TEXT NOT NULL,
  description      TEXT   NOT NULL,
  description_key  FOLDED_TEXT NOT NULL,
  membership_count BIGINT NOT NULL DEFAULT 0,
  created_at       BIGINT NOT NULL,
  updated_at       BIGINT NOT NULL,
  PRIMARY KEY (pid, group_id)
)
--@sqlite WITHOUT ROWID
;
CREATE UNIQUE INDEX groups_name          ON groups (pid, name_key);
CREATE INDEX groups_by_description       ON groups (pid, description_key, group_id);
CREATE INDEX groups_by_membership_count  ON groups (pid, membership_count, group_id);

CREATE TABLE memberships (
  pid      BIGINT NOT NULL,
  group_id BIGINT NOT NULL,
  user_id  BIGINT NOT NULL,
  PRIMARY KEY (pid, group_id, user_id),
  FOREIGN KEY (pid, group_id) REFERENCES groups (pid, group_id) ON DELETE CASCADE,
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX memberships_by_user ON memberships (pid, user_id, group_id);

CREATE TABLE clients (
  pid         BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  client_id   TEXT   NOT NULL,
  name        TEXT   NOT NULL,
  secret_hash TEXT   NOT NULL,
  is_admin    BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (pid, client_id)
)
--@sqlite WITHOUT ROWID
;

-- A session is a token family: what one login gave. user_id is null for a technical account (B28).
CREATE TABLE sessions (
  pid           BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  session_id    TEXT   NOT NULL,
  user_id       BIGINT,
  client_id     TEXT   NOT NULL,
  restricted    BIGINT NOT NULL, -- opened with a temporary or expired password (B22)
  created_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL, -- the latest end of any of its tokens
  address       TEXT,
  user_agent    TEXT,
  last_used_at  BIGINT NOT NULL,
  PRIMARY KEY (pid, session_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX sessions_by_user    ON sessions (pid, user_id);
CREATE INDEX sessions_by_client  ON sessions (pid, client_id);
CREATE INDEX sessions_by_expiry  ON sessions (expires_at);

CREATE TABLE access_tokens (
  pid        BIGINT NOT NULL,
  token_hash TEXT   NOT NULL, -- base64url of SHA-256; the token itself is stored nowhere
  session_id TEXT   NOT NULL,
  issued_at  BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (pid, token_hash),
  FOREIGN KEY (pid, session_id) REFERENCES sessions (pid, session_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX access_tokens_by_session ON access_tokens (pid, session_id);
CREATE INDEX access_tokens_by_expiry  ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
  pid        BIGINT NOT NULL,
  token_hash TEXT   NOT NULL,
  session_id TEXT   NOT NULL,
  issued_at  BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL DEFAULT 0, -- 0 = not yet; using it twice ends the session
  PRIMARY KEY (pid, token_hash),
  FOREIGN KEY (pid, session_id) REFERENCES sessions (pid, session_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (pid, session_id);
CREATE INDEX refresh_tokens_by_expiry  ON refresh_tokens (expires_at);

CREATE TABLE operator_tokens (
  token_id   BIGINT NOT NULL PRIMARY KEY,
  token_hash TEXT   NOT NULL UNIQUE,
  name       TEXT   NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE events (
  pid      BIGINT NOT NULL,
  event_id BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  kind     TEXT   NOT NULL,
  actor    TEXT   NOT NULL,
  user_id  BIGINT,
  group_id BIGINT,
  before   TEXT,
  after    TEXT,
  PRIMARY KEY (pid, event_id)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX events_by_user ON events (pid, user_id, event_id);
CREATE INDEX events_by_kind ON events (pid, kind, event_id);

-- Mail to be sent. The one place where a temporary password stands in clear: letter is set to null on delivery,
-- when a newer password replaces it and when it expires.
CREATE TABLE outbox (
  pid             BIGINT NOT NULL,
  mail_id         BIGINT NOT NULL,
  user_id         BIGINT NOT NULL,
  secret          BIGINT NOT NULL, -- carries a temporary password
  letter          TEXT,
  attempts        BIGINT NOT NULL DEFAULT 0,
  next_attempt_at BIGINT NOT NULL,
  expires_at      BIGINT NOT NULL, -- 0 = never
  created_at      BIGINT NOT NULL,
  PRIMARY KEY (pid, mail_id)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX outbox_due     ON outbox (next_attempt_at, mail_id) WHERE letter IS NOT NULL;
CREATE INDEX outbox_by_user ON outbox (pid, user_id) WHERE letter IS NOT NULL;

-- Totals kept in the transaction that changes them; a total is the sum of its slots.
CREATE TABLE counters (
  pid   BIGINT NOT NULL,
  name  TEXT   NOT NULL,
  slot  BIGINT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (pid, name, slot)
)
--@sqlite WITHOUT ROWID
;

--@sqlite CREATE TABLE sequences (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL) WITHOUT ROWID;
--@postgres CREATE SEQUENCE seq_partners; CREATE SEQUENCE seq_users; CREATE SEQUENCE seq_groups;
--@postgres CREATE SEQUENCE seq_events; CREATE SEQUENCE seq_outbox; CREATE SEQUENCE seq_passwords;
--@postgres CREATE SEQUENCE seq_operator_tokens;

-- The substring index. The partner is one token of its own column (three characters), so another partner's
-- size does not slow a search. The text is folded before it comes here, hence case_sensitive. PostgreSQL keeps its own
-- over storage::search::TEXT, led by the partner as well.
--@postgres CREATE EXTENSION IF NOT EXISTS pg_trgm;
--@postgres CREATE EXTENSION IF NOT EXISTS btree_gin;
--@postgres CREATE INDEX users_search ON users USING gin (pid, (username_key || E'\x01' || first_name_key || E'\x01' || last_name_key || E'\x01' || email_key || title_key || phone_number_key || external_id_key) gin_trgm_ops);
--@sqlite CREATE VIRTUAL TABLE user_search USING fts5(partner, text, content='', contentless_delete=1, tokenize='trigram case_sensitive 1');
