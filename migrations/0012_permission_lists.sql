-- A list of permissions that is too large for one transaction is written beside the one in force, in steps, and switched
-- in one small transaction (docs/adr/0025-lists-are-switched.md). As 0001: a line that begins with "--@sqlite " or
-- "--@postgres " counts only there.

-- The change of a group's list that is under way, or that is in force and not yet cleared away. At most one for a group.
CREATE TABLE permission_changes (
  pid       BIGINT NOT NULL,
  group_id  BIGINT NOT NULL,
  change_id BIGINT NOT NULL, -- the group's version when it began, which a change in force has raised
  state     BIGINT NOT NULL, -- 0 = staged, 1 = in force, 2 = cancelled
  steps     BIGINT NOT NULL, -- how many transactions have written rows of it
  begun_at  BIGINT NOT NULL,
  PRIMARY KEY (pid, group_id),
  FOREIGN KEY (pid, group_id) REFERENCES groups (pid, group_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;

-- What a change does with a row: n > 0 = change n adds it, -n = change n removes it, 0 = neither. A row that is added
-- does not count, and one that is removed does, while permission_changes has that change and it is not in force.
ALTER TABLE group_permissions ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
-- Where the row stands in the list once the change of its group is in force; null = where it stands now.
ALTER TABLE group_permissions ADD COLUMN next_entry BIGINT;
ALTER TABLE group_permissions ADD COLUMN next_place BIGINT;
ALTER TABLE group_permissions ADD COLUMN next_is_number BIGINT;

-- Which process has the one large unit of work of a partner, and until when if it does not renew it. Only where several
-- processes share a database.
CREATE TABLE large_units (
  pid        BIGINT NOT NULL, -- its partner may be gone when the unit ends
  holder     TEXT   NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (pid)
);

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('permission_changes', 'permission_changes', '100 10 1');
--@sqlite ANALYZE sqlite_schema;
