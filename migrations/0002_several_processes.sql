-- What several processes over one database must agree on.

-- Failed logins by address, for the limit per address. The one table beside usernames that the partner does not lead:
-- who fails to log in has no partner. `at` is when, `failures` how many in that millisecond.
CREATE TABLE login_failures (
  address  TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  PRIMARY KEY (address, at)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX login_failures_by_time ON login_failures (at);
