-- Changes of more rows than one transaction may hold up others for: written down before the first of them, carried out
-- in steps, and removed by the last one. A process that dies in between leaves the entry to the next.

-- One of a partner at a time.
CREATE TABLE bulk_operations (
  pid          BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  operation_id TEXT   NOT NULL, -- random
  actor        TEXT   NOT NULL, -- who began it, as events name them
  change       TEXT   NOT NULL, -- what it does, as JSON (domain/bulk_operations.rs)
  total        BIGINT NOT NULL, -- ids it is for
  changed      BIGINT NOT NULL, -- rows that are now other than before
  kept         TEXT   NOT NULL, -- rows that had to be left as they were, as JSON
  key_hash     TEXT,            -- whose answer in kept_answers is due at the end (Idempotency-Key)
  begun_at     BIGINT NOT NULL,
  owner        TEXT   NOT NULL, -- the process that carries it out
  lease_until  BIGINT NOT NULL, -- until then nobody else may
  PRIMARY KEY (pid)
);

-- The ids that are still to be done ('pending'), in pieces; and for the event of a group which is being deleted the members
-- that have left it ('left'), and what it permitted ('permissions').
CREATE TABLE bulk_operation_ids (
  pid   BIGINT NOT NULL REFERENCES bulk_operations (pid) ON DELETE CASCADE,
  state TEXT   NOT NULL,
  piece BIGINT NOT NULL,
  ids   TEXT   NOT NULL, -- a JSON array, that of the permissions of objects
  PRIMARY KEY (pid, state, piece)
);
