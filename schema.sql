-- The whole schema of an orgkeys database, version 1.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z. Ids are the 16 bytes of a UUID version 7, so rows arrive in
-- the order of their keys and each insert touches the last page only.

CREATE TABLE org (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A person belongs to one organization for ever; deleting one keeps the row, so that the audit log can name them.
CREATE TABLE user (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    org        BLOB NOT NULL REFERENCES org (id),
    email      TEXT NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    -- The address in lower case, which is what must be unique on the server.
    email_key  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL CHECK (length(name) <= 100),
    last_name  TEXT NOT NULL CHECK (length(last_name) <= 100),
    role       INTEGER NOT NULL CHECK (role IN (0, 1, 2, 254, 255)),
    validated  INTEGER NOT NULL CHECK (validated IN (0, 1)),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;

-- The people of an organization, newest first.
CREATE INDEX user_by_org ON user (org, id);

-- Access tokens. The secret itself is nowhere: a caller's token is hashed and looked up by its digest.
CREATE TABLE token (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    user       BLOB NOT NULL REFERENCES user (id),
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    -- Null: it does not end by itself.
    expires_at INTEGER,
    revoked_at INTEGER,
    -- To the minute: a write for every call would cost more than the call.
    last_used  INTEGER
) STRICT, WITHOUT ROWID;

-- The tokens of a user, newest first.
CREATE INDEX token_by_user ON token (user, id);

-- What the server itself must remember: one row.
CREATE TABLE server (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    -- Signed messages from before this moment are refused: a restored backup has forgotten which were used.
    signed_after      INTEGER NOT NULL CHECK (signed_after >= 0),
    -- The first token, from the commit that made it until it was shown; a start that finds one makes another.
    unannounced_token BLOB REFERENCES token (id),
    -- The time of the last backup that has its event.
    backup_recorded   INTEGER NOT NULL CHECK (backup_recorded >= 0),
    -- When a write last showed that the disk takes writes.
    probed_at         INTEGER NOT NULL CHECK (probed_at >= 0)
) STRICT;

INSERT INTO server (id, signed_after, unannounced_token, backup_recorded, probed_at) VALUES (1, 0, NULL, 0, 0);

-- The public halves of key pairs, as SubjectPublicKeyInfo DER. The private halves were never here.
CREATE TABLE org_key (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    org        BLOB NOT NULL REFERENCES org (id),
    public_key BLOB NOT NULL CHECK (length(public_key) BETWEEN 256 AND 1024),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys of an organization: their list, their number against the quota, the candidates for a signature.
CREATE INDEX org_key_by_org ON org_key (org, id);

-- The registry of nodes. An organization knows a node by its address.
CREATE TABLE node (
    id           BLOB PRIMARY KEY CHECK (length(id) = 16),
    org          BLOB NOT NULL REFERENCES org (id),
    ip           TEXT NOT NULL CHECK (length(ip) BETWEEN 1 AND 253),
    region       TEXT NOT NULL CHECK (length(region) BETWEEN 1 AND 64),
    provider     TEXT NOT NULL CHECK (provider IN ('', 'S3', 'GCS', 'AZURE', 'AWS', 'GCP')),
    status       TEXT NOT NULL CHECK (length(status) <= 32),
    version      TEXT NOT NULL CHECK (length(version) <= 64),
    services     INTEGER NOT NULL CHECK (services BETWEEN 0 AND 7),
    -- The one key that verified the last registration; deleting the key ends the association.
    key          BLOB REFERENCES org_key (id) ON DELETE SET NULL,
    last_contact INTEGER NOT NULL,
    -- A node that an administrator deleted stays, so that it cannot come back by itself.
    deleted_at   INTEGER,
    CHECK (deleted_at IS NULL OR key IS NULL),
    UNIQUE (org, ip)
) STRICT, WITHOUT ROWID;

-- The nodes of an organization, newest first.
CREATE INDEX node_by_org ON node (org, id);

-- The nodes beside each key, and what deleting a key must find.
CREATE INDEX node_by_key ON node (key) WHERE key IS NOT NULL;

-- Signatures that were accepted, by the moment they state, so that rows arrive nearly in key order and old ones lie
-- together. The digest is SHA-256 of the signature's bytes.
CREATE TABLE used_signature (
    signed_at INTEGER NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (signed_at, digest)
) STRICT, WITHOUT ROWID;

-- The audit log: append-only, one hash chain per organization and one for the server itself (org is null).
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org        BLOB REFERENCES org (id),
    -- The place within the chain, from 1, without a gap.
    seq        INTEGER NOT NULL CHECK (seq >= 1),
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'node', 'system')),
    actor_id   TEXT NOT NULL,
    -- A node's address. A person's name is looked up, so that the log does not keep it for ever.
    actor_name TEXT,
    action     TEXT NOT NULL,
    context    INTEGER CHECK (context BETWEEN 0 AND 13),
    context_id TEXT,
    -- 0 created, 1 updated, 2 deleted; null for reads and refusals, which clients are not shown.
    change     INTEGER CHECK (change BETWEEN 0 AND 2),
    outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    address    TEXT,
    request_id TEXT,
    detail     TEXT CHECK (detail IS NULL OR json_valid(detail)),
    prev_hash  BLOB NOT NULL CHECK (length(prev_hash) = 32),
    -- SHA-256 of a version tag, prev_hash and every other column, each framed by its length.
    hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- The last entry of a chain, and the referee that no place in it is taken twice.
CREATE UNIQUE INDEX audit_chain ON audit (org, seq);

-- The same for the server's own chain, since nulls are never equal.
CREATE UNIQUE INDEX audit_server_chain ON audit (seq) WHERE org IS NULL;

-- What clients are shown of an organization, by time; with what they filter by, so that counting needs no row.
CREATE INDEX audit_shown ON audit (org, at, actor_id, context, context_id, change) WHERE change IS NOT NULL;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- Which events a user has read.
CREATE TABLE read_mark (
    user  BLOB NOT NULL REFERENCES user (id),
    event INTEGER NOT NULL REFERENCES audit (id),
    PRIMARY KEY (user, event)
) STRICT, WITHOUT ROWID;
