-- Which algorithms clients use that can receive ID tokens: the worker makes keys for them, and rotates those.
CREATE INDEX clients_by_algorithm ON clients (id_token_alg) WHERE grants % 2 = 1;

--@sqlite INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('clients', 'clients_by_algorithm', '1000 400');
--@sqlite ANALYZE sqlite_schema;
