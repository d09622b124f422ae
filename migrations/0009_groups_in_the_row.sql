-- The groups of a user in its own row, so that reading a user is one lookup: ",5,12,", and "," for none. They count only
-- where groups_version is the row's version, which every change of memberships raises: after one that does not write
-- them (by a process of the version before, or when a group is deleted), the memberships are read until the next that
-- does.
ALTER TABLE users ADD COLUMN group_ids TEXT NOT NULL DEFAULT ',';
ALTER TABLE users ADD COLUMN groups_version BIGINT NOT NULL DEFAULT 0;
--@sqlite UPDATE users SET groups_version = version, group_ids = ',' || coalesce((SELECT string_agg(CAST(m.group_id AS TEXT), ',') || ',' FROM memberships m WHERE m.pid = users.pid AND m.user_id = users.user_id), '');
