-- Imports of users that have begun: how far each is, written in the transaction of each batch, so that one that broke
-- off goes on where it stopped, and no row comes twice.

CREATE TABLE imports (
  pid        BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  import_key TEXT   NOT NULL, -- which file it is, and whose
  checksum   TEXT   NOT NULL, -- of the rows that are done
  rows_done  BIGINT NOT NULL,
  created    BIGINT NOT NULL,
  failed     BIGINT NOT NULL,
  told       TEXT   NOT NULL, -- rejected rows, as JSON: those of the newest batch, or the first ones of all
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (pid, import_key)
);
CREATE INDEX imports_by_age ON imports (updated_at);
