-- Users are searched without accents, and no search reads what other partners have. As 0001: a line that begins with
-- "--@sqlite " or "--@postgres " counts only there.

-- The searched text of a user whose keys are not ASCII: the keys without accents (crates/store/src/listing/search.rs). Null
-- where the keys are the text. The change that uses this file fills it, and SQLite's search indexes.
ALTER TABLE users ADD COLUMN search_key FOLDED_TEXT;

-- Each word of SQLite's indexes begins with the partner (crates/store/src/engine/sqlite/search_index.rs). ASCII characters
-- that are no letters or digits must be named to be part of a word.
--@sqlite DROP TABLE user_search;
--@sqlite DROP TABLE user_grams;
--@sqlite CREATE VIRTUAL TABLE user_search USING fts5(grams, content='', tokenize='ascii tokenchars ''!"#$%&''''()*+,-./:;<=>?@[\]^_`{|}~''');
--@sqlite CREATE VIRTUAL TABLE user_grams USING fts5(grams, content='', detail=none, tokenize='ascii tokenchars ''!"#$%&''''()*+,-./:;<=>?@[\]^_`{|}~''');
--@sqlite INSERT INTO user_search (user_search, rank) VALUES ('hashsize', 8388608);
--@sqlite INSERT INTO user_grams (user_grams, rank) VALUES ('hashsize', 8388608);

-- PostgreSQL's indexes of texts stay: the keys of most users are ASCII. This one has the others.
--@postgres CREATE INDEX users_search_key ON users USING gin (pid, search_key gin_trgm_ops) WHERE search_key IS NOT NULL;

-- A server of the version before does not know search_key. Rows that it stores lack theirs; of rows that it changes the
-- trigger drops it, since this version never writes the key that is there already (crates/store/src/tables/users.rs). Such
-- rows are found by this index and get their key within a minute. The trigger can go one version later.
--@postgres CREATE INDEX users_without_search_key ON users (user_id) WHERE search_key IS NULL AND octet_length(username_key || E'\x01' || first_name_key || E'\x01' || last_name_key || E'\x01' || email_key || title_key || phone_number_key || external_id_key || display_name_key) > char_length(username_key || E'\x01' || first_name_key || E'\x01' || last_name_key || E'\x01' || email_key || title_key || phone_number_key || external_id_key || display_name_key);
--@postgres CREATE FUNCTION drop_search_key() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.search_key := NULL; RETURN NEW; END';
--@postgres CREATE TRIGGER users_drop_search_key BEFORE UPDATE OF username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, external_id_key, display_name_key ON users FOR EACH ROW WHEN (NEW.search_key = OLD.search_key) EXECUTE FUNCTION drop_search_key();
