-- The SHA-256 of the file of each migration, in lower-case hex, so that one that is edited after it was applied is noticed.
-- Null until the process that adds this column has filled it (crates/store/src/ops/migrate.rs).

ALTER TABLE schema_versions ADD COLUMN checksum TEXT;
