-- The keys that sign ID tokens (docs/OPERATIONS.md, Keys). They are the server's, not a partner's.
CREATE TABLE signing_keys (
  kid          TEXT   NOT NULL PRIMARY KEY, -- the thumbprint of RFC 7638
  alg          TEXT   NOT NULL,
  -- PKCS#8, or the public key of one that signs no more; sealed with the master key, if there is one.
  key          TEXT   NOT NULL,
  is_private   BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  current_from BIGINT NOT NULL, -- when it begins to sign; it is published before
  old_from     BIGINT,          -- when its successor begins to sign
  gone_at      BIGINT           -- when it is no longer published
)
--@sqlite WITHOUT ROWID
;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('signing_keys', 'signing_keys', '6 1');
--@sqlite ANALYZE sqlite_schema;
