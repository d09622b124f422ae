-- What verifying a stored password costs, where that is more than one of this server's own (docs/adr/0021). The background
-- fills it in for passwords that were stored before (worker/housekeep.rs).

ALTER TABLE passwords ADD COLUMN cost_kind BIGINT; -- null = not looked at yet, 0 = not expensive, else hashing/cost.rs
ALTER TABLE passwords ADD COLUMN cost_work BIGINT NOT NULL DEFAULT 0; -- in units of the kind
-- The most expensive ones that are good for a login.
CREATE INDEX passwords_by_cost ON passwords (cost_kind, cost_work) WHERE cost_kind > 0 AND present = 1;
-- Hashes of other systems that were not looked at yet. Our own are passed over by how they begin.
CREATE INDEX passwords_without_cost ON passwords (cost_kind) WHERE cost_kind IS NULL
  AND substr(hash, 1, 7) <> 'sha256$' AND substr(hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$';

-- The most expensive hash of each kind that any user has: refused logins take as long. One row for the whole server, not
-- for a partner: by a time that depended on the partner it could be told whose a username is.
CREATE TABLE expensive_hashes (
  cost_kind BIGINT NOT NULL PRIMARY KEY,
  cost_work BIGINT NOT NULL,
  raised_at BIGINT NOT NULL -- when one was stored last, to ten minutes
);
-- Where there may be some, the most expensive form is assumed (bcrypt with a cost of 13) until they have been looked at.
INSERT INTO expensive_hashes (cost_kind, cost_work, raised_at) SELECT 2, 8192, 0 WHERE EXISTS (
  SELECT 1 FROM passwords WHERE cost_kind IS NULL
  AND substr(hash, 1, 7) <> 'sha256$' AND substr(hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$'
);
