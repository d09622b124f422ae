-- OAuth clients that users log in to through pages. As 0001: a line that begins with "--@sqlite " or "--@postgres " counts
-- only there.

-- The defaults are what every client was before: confidential, with one secret, used in either way, and all other grants.
ALTER TABLE clients ADD COLUMN kind TEXT NOT NULL DEFAULT 'confidential'; -- or 'public'
ALTER TABLE clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE clients ADD COLUMN grants BIGINT NOT NULL DEFAULT 14; -- 1 = code, 2 = refresh, 4 = client, 8 = password
ALTER TABLE clients ADD COLUMN scopes BIGINT NOT NULL DEFAULT 3; -- those it may request, as in sessions
ALTER TABLE clients ADD COLUMN id_token_alg TEXT NOT NULL DEFAULT 'RS256';
ALTER TABLE clients ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'client_secret'; -- basic or post
ALTER TABLE clients ADD COLUMN needs_consent BIGINT NOT NULL DEFAULT 1;
ALTER TABLE clients ADD COLUMN needs_pkce BIGINT NOT NULL DEFAULT 1;
-- secret_hash is the first secret, empty if there is none; this is the second, while they are exchanged.
ALTER TABLE clients ADD COLUMN secret_id BIGINT NOT NULL DEFAULT 1;
ALTER TABLE clients ADD COLUMN secret_created_at BIGINT NOT NULL DEFAULT 0; -- 0 = created_at
ALTER TABLE clients ADD COLUMN second_secret_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN second_secret_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN second_secret_created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0; -- 0 = created_at
ALTER TABLE clients ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
CREATE INDEX clients_by_time ON clients (pid, created_at, client_id);

-- Product clients: the operator's, for the users of all partners, or of those in product_client_partners.
CREATE TABLE product_clients (
  client_id                 TEXT   NOT NULL PRIMARY KEY,
  name                      TEXT   NOT NULL,
  secret_hash               TEXT   NOT NULL,
  is_admin                  BIGINT NOT NULL, -- always 0
  created_at                BIGINT NOT NULL,
  kind                      TEXT   NOT NULL,
  redirect_uris             TEXT   NOT NULL,
  post_logout_redirect_uris TEXT   NOT NULL,
  grants                    BIGINT NOT NULL,
  scopes                    BIGINT NOT NULL,
  id_token_alg              TEXT   NOT NULL,
  auth_method               TEXT   NOT NULL,
  needs_consent             BIGINT NOT NULL, -- always 0
  needs_pkce                BIGINT NOT NULL,
  secret_id                 BIGINT NOT NULL,
  secret_created_at         BIGINT NOT NULL,
  second_secret_hash        TEXT   NOT NULL,
  second_secret_id          BIGINT NOT NULL,
  second_secret_created_at  BIGINT NOT NULL,
  updated_at                BIGINT NOT NULL,
  version                   BIGINT NOT NULL,
  all_partners              BIGINT NOT NULL, -- 0 = only those of product_client_partners
  revoked_at                BIGINT NOT NULL, -- not 0: it is gone
  is_unsettled              BIGINT NOT NULL  -- 1 = it may have sessions that it may no longer have, which the worker deletes
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX product_clients_by_time ON product_clients (created_at, client_id);

CREATE TABLE product_client_partners (
  pid       BIGINT NOT NULL REFERENCES partners (pid) ON DELETE CASCADE,
  client_id TEXT   NOT NULL REFERENCES product_clients (client_id) ON DELETE CASCADE,
  PRIMARY KEY (pid, client_id)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX product_client_partners_by_client ON product_client_partners (client_id, pid);

-- The web origins of redirect URIs, whose scripts may use the token endpoint. pid is 0 for a product client. No references,
-- since the client is in one of two tables.
CREATE TABLE client_origins (
  pid       BIGINT NOT NULL,
  client_id TEXT   NOT NULL,
  origin    TEXT   NOT NULL,
  PRIMARY KEY (pid, client_id, origin)
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX client_origins_by_origin ON client_origins (origin);

-- What a user has allowed a client of the partner to learn.
CREATE TABLE consents (
  pid        BIGINT NOT NULL,
  user_id    BIGINT NOT NULL,
  client_id  TEXT   NOT NULL,
  scopes     BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (pid, user_id, client_id),
  FOREIGN KEY (pid, user_id) REFERENCES users (pid, user_id) ON DELETE CASCADE
)
--@sqlite WITHOUT ROWID
;
CREATE INDEX consents_by_client ON consents (pid, client_id);

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
--@sqlite   ('clients', 'clients_by_time', '10000 10 1 1'),
--@sqlite   ('product_clients', 'product_clients', '100 1'),
--@sqlite   ('product_clients', 'product_clients_by_time', '100 1 1'),
--@sqlite   ('product_client_partners', 'product_client_partners', '1000 2 1'),
--@sqlite   ('product_client_partners', 'product_client_partners_by_client', '1000 10 1'),
--@sqlite   ('client_origins', 'client_origins', '20000 20 2 1'),
--@sqlite   ('client_origins', 'client_origins_by_origin', '20000 2'),
--@sqlite   ('consents', 'consents', '1000000 100000 2 1'),
--@sqlite   ('consents', 'consents_by_client', '1000000 100000 1000');
--@sqlite ANALYZE sqlite_schema;
