-- Upgrades a database of version 1. The texts of the tables are those in schema.sql, with which every file is compared.

-- Keys of an organization can be named, imported, replaced and restored.
CREATE TEMP TABLE old_org_key AS SELECT id, org, public_key, created_at FROM org_key;
DROP TABLE org_key;
CREATE TABLE org_key (
    id            BLOB PRIMARY KEY CHECK (length(id) = 16),
    org           BLOB NOT NULL REFERENCES org (id),
    public_key    BLOB NOT NULL CHECK (length(public_key) BETWEEN 256 AND 1024),
    created_at    INTEGER NOT NULL,
    name          TEXT NOT NULL DEFAULT '' CHECK (length(name) <= 100),
    -- Whether the key pair was generated elsewhere, and only its public key was imported.
    brought       INTEGER NOT NULL DEFAULT 0 CHECK (brought IN (0, 1)),
    -- From this moment on, the key verifies nothing; null: it does not end by itself.
    retire_at     INTEGER,
    -- Whether it ends as soon as its last node has registered with another key; only while it has a successor.
    retire_unused INTEGER NOT NULL DEFAULT 0 CHECK (retire_unused IN (0, 1)),
    -- The key that replaces it.
    successor     BLOB REFERENCES org_key (id) ON DELETE SET NULL,
    -- The fewest days before its end at which the end was announced, 0 for the end itself; null: not yet.
    announced     INTEGER CHECK (announced IN (0, 1, 7)),
    -- A deleted key stays for a while, so that the deletion can be undone.
    deleted_at    INTEGER,
    CHECK (successor IS NULL OR retire_at IS NOT NULL),
    UNIQUE (org, public_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX org_key_by_org ON org_key (org, id, retire_at, deleted_at);

CREATE INDEX org_key_by_end ON org_key (retire_at, announced) WHERE retire_at IS NOT NULL AND deleted_at IS NULL;

CREATE INDEX org_key_by_successor ON org_key (successor) WHERE successor IS NOT NULL;

INSERT INTO org_key (id, org, public_key, created_at) SELECT id, org, public_key, created_at FROM temp.old_org_key;
DROP TABLE temp.old_org_key;

-- Nodes can fetch secrets.
CREATE TABLE secret (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    org        BLOB NOT NULL REFERENCES org (id),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 16),
    -- The region whose nodes get this text; empty: those of every region that has no text of its own.
    region     TEXT NOT NULL CHECK (length(region) <= 64),
    -- Sealed under the key of the key file: the key's id (8 bytes), a nonce (12), and AES-256-GCM of the text.
    sealed     BLOB NOT NULL CHECK (length(sealed) = bytes + 36),
    -- The length of the text.
    bytes      INTEGER NOT NULL CHECK (bytes BETWEEN 0 AND 16384),
    updated_at INTEGER NOT NULL,
    UNIQUE (org, name, region)
) STRICT;

-- Browsers have sessions of their own.
CREATE TABLE web_session (
    token       BLOB PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
    -- When the password was last given: what is hard to undo asks for it again.
    password_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The whole audit log can be listed newest first, by action, actor and outcome.
CREATE INDEX audit_unseen_by_time ON audit (org, at) WHERE change IS NULL;
CREATE INDEX audit_unseen_by_actor ON audit (org, actor_id, at) WHERE change IS NULL;
CREATE INDEX audit_by_action ON audit (org, action, at) WHERE action <> 'node.register';
CREATE INDEX audit_refused ON audit (org, at) WHERE outcome = 'refused';

-- An organization has statistics.
CREATE TABLE hourly_count (
    org     BLOB NOT NULL REFERENCES org (id),
    -- The beginning of the hour.
    hour    INTEGER NOT NULL CHECK (hour % 3600000 = 0),
    kind    TEXT NOT NULL CHECK (kind IN ('node', 'verification', 'call')),
    -- A word, or the status of a response.
    outcome TEXT NOT NULL CHECK (length(outcome) BETWEEN 1 AND 20),
    count   INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (org, hour, kind, outcome)
) STRICT, WITHOUT ROWID;

CREATE INDEX hourly_count_by_hour ON hourly_count (hour);
