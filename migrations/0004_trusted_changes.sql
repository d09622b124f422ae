-- Changes one can trust: versions, deleted users, forgotten passwords, answers kept for repeated requests.

-- Raised by every change that the user's representation shows, memberships included: what its ETag is made of, as a
-- group's is of the version that 0003 added.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- "I forgot my password", as asked: a row like any other whether there is such a user or not, so that the time of the
-- answer tells nothing. The worker takes it from here. No partner: whoever asks names none.
CREATE TABLE password_requests (
  request_id   BIGINT NOT NULL,
  by_email     BIGINT NOT NULL, -- name_key is an e-mail address, not a username
  name_key     FOLDED_TEXT NOT NULL,
  requested_at BIGINT NOT NULL,
  PRIMARY KEY (request_id)
);
--@postgres CREATE SEQUENCE seq_password_requests;

-- When a user was mailed a temporary password because somebody asked for it: at most a day's worth, for the limits.
CREATE TABLE forgotten_passwords (
  pid       BIGINT NOT NULL,
  user_id   BIGINT NOT NULL,
  issued_at BIGINT NOT NULL,
  PRIMARY KEY (pid, user_id, issued_at),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

-- Deleted users, for as long as they can be restored. They are in no other table, so no query can find them by
-- mistake, and their usernames are free.
CREATE TABLE deleted_users (
  pid         BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  user_id     BIGINT NOT NULL,
  deleted_at  BIGINT NOT NULL,
  search_text FOLDED_TEXT NOT NULL, -- as in the substring index
  record      TEXT   NOT NULL,      -- the user with its passwords, as JSON (storage/deleted_users.rs)
  PRIMARY KEY (pid, user_id)
);
CREATE INDEX deleted_users_by_time ON deleted_users (pid, deleted_at, user_id);
CREATE INDEX deleted_users_by_age  ON deleted_users (deleted_at);

-- Answers to requests with an Idempotency-Key. pid is 0 for an operator's.
CREATE TABLE kept_answers (
  pid       BIGINT NOT NULL,
  key_hash  TEXT   NOT NULL, -- of the key, the caller, method, path and query
  body_hash TEXT   NOT NULL, -- of the request's body
  kept_at   BIGINT NOT NULL,
  answer    TEXT,            -- null while the work is being done: nobody ever sees that
  PRIMARY KEY (pid, key_hash)
);
CREATE INDEX kept_answers_by_age ON kept_answers (kept_at);
