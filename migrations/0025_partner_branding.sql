-- What sign-in pages show of a partner that has set it. As 0001: a line that begins with "--@sqlite " or "--@postgres "
-- counts only there.

CREATE TABLE partner_branding (
  pid         BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  name        TEXT   NOT NULL,
  color       TEXT   NOT NULL,           -- #rrggbb in lower case
  logo        TEXT,                      -- a PNG that this server has encoded, in base64
  logo_hash   TEXT,                      -- names the logo in its URL
  logo_width  BIGINT NOT NULL DEFAULT 0, -- pixels
  logo_height BIGINT NOT NULL DEFAULT 0,
  version     BIGINT NOT NULL,           -- greater than that of a branding that was deleted
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  PRIMARY KEY (pid)
);
