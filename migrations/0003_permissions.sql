-- Nested groups and permissions. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts only there.

ALTER TABLE groups ADD COLUMN parent_group_id BIGINT NOT NULL DEFAULT 0; -- 0 = none
ALTER TABLE groups ADD COLUMN version BIGINT NOT NULL DEFAULT 1;         -- raised by every change of the group
CREATE INDEX groups_by_parent ON groups (pid, parent_group_id, group_id);

-- Every group with itself (distance 0) and with each group above it: whose permissions its members have. At most
-- eight rows for a group, since nesting is at most eight deep.
CREATE TABLE group_ancestors (
  pid         BIGINT NOT NULL,
  group_id    BIGINT NOT NULL,
  ancestor_id BIGINT NOT NULL,
  distance    BIGINT NOT NULL,
  PRIMARY KEY (pid, group_id, ancestor_id),
  FOREIGN KEY (pid, group_id) REFERENCES groups (pid, group_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX group_ancestors_by_ancestor ON group_ancestors (pid, ancestor_id, group_id, distance);
INSERT INTO group_ancestors (pid, group_id, ancestor_id, distance) SELECT pid, group_id, group_id, 0 FROM groups;

-- One row for each permission of each entry of a group's list. The key leads to the groups that have a permission on
-- an object; entry and place are where it stands in the list. Object ids, types and permissions compare byte by byte.
CREATE TABLE group_permissions (
  pid         BIGINT NOT NULL,
  object_type FOLDED_TEXT NOT NULL,
  object_id   FOLDED_TEXT NOT NULL, -- an integer as its digits: 563 and "563" are one object
  permission  FOLDED_TEXT NOT NULL,
  group_id    BIGINT NOT NULL,
  entry       BIGINT NOT NULL,
  place       BIGINT NOT NULL,
  is_number   BIGINT NOT NULL,      -- whether the id was given as an integer
  PRIMARY KEY (pid, object_type, object_id, permission, group_id),
  FOREIGN KEY (pid, group_id) REFERENCES groups (pid, group_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX group_permissions_by_group ON group_permissions (pid, group_id, entry, place);

CREATE TABLE group_wildcards (
  pid      BIGINT NOT NULL,
  wildcard FOLDED_TEXT NOT NULL,
  group_id BIGINT NOT NULL,
  PRIMARY KEY (pid, wildcard, group_id),
  FOREIGN KEY (pid, group_id) REFERENCES groups (pid, group_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX group_wildcards_by_group ON group_wildcards (pid, group_id, wildcard);
