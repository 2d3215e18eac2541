-- The complete schema of an orgkeys database, version 2.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z. Ids are the 16 bytes of a UUID version 7, so rows are inserted in
-- key order and each insert touches only the last page.
--
-- The comments inside a statement are stored in every database and compared with this file: changing one changes the
-- schema.

-- The identity of this file, and how far its write-ahead log has come: one row. Written at the start of each log and
-- before each checkpoint, so that a log of another database, or of another state of this one, can be told from the
-- file's own.
CREATE TABLE file_identity (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    -- Random, and renewed at every start of the server and in every backup.
    file     BLOB NOT NULL CHECK (length(file) = 16),
    -- What it was before it was renewed.
    previous BLOB NOT NULL CHECK (length(previous) = 16),
    -- Counts up, across renewals too.
    mark     INTEGER NOT NULL CHECK (mark >= base),
    -- The mark that the file itself had at least when the log that holds this row began.
    base     INTEGER NOT NULL CHECK (base >= 0)
) STRICT;

INSERT INTO file_identity (id, file, previous, mark, base) VALUES (1, randomblob(16), zeroblob(16), 0, 0);

CREATE TABLE org (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at INTEGER NOT NULL,
    -- What the organization says of itself. Nothing here decides anything.
    domain      TEXT NOT NULL DEFAULT '' CHECK (length(domain) <= 253),
    website     TEXT NOT NULL DEFAULT '' CHECK (length(website) <= 200),
    address1    TEXT NOT NULL DEFAULT '' CHECK (length(address1) <= 200),
    address2    TEXT NOT NULL DEFAULT '' CHECK (length(address2) <= 200),
    city        TEXT NOT NULL DEFAULT '' CHECK (length(city) <= 200),
    zipcode     TEXT NOT NULL DEFAULT '' CHECK (length(zipcode) <= 200),
    phone       TEXT NOT NULL DEFAULT '' CHECK (length(phone) <= 200),
    state       TEXT NOT NULL DEFAULT '' CHECK (length(state) <= 200),
    country     TEXT NOT NULL DEFAULT '' CHECK (length(country) <= 200),
    is_business INTEGER NOT NULL DEFAULT 0 CHECK (is_business IN (0, 1)),
    -- How many nodes it has, deleted ones too, as the triggers below count them: the limit is looked at with every new one.
    nodes       INTEGER NOT NULL DEFAULT 0 CHECK (nodes >= 0)
) STRICT, WITHOUT ROWID;

-- Users. A user belongs to one organization permanently. Deletion keeps the row, so that the audit log can show the
-- name.
CREATE TABLE person (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    org        BLOB NOT NULL REFERENCES org (id),
    email      TEXT NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    -- The address in lower case, which is what must be unique on the server among those who are not deleted.
    email_key  TEXT NOT NULL,
    name       TEXT NOT NULL CHECK (length(name) <= 100),
    last_name  TEXT NOT NULL CHECK (length(last_name) <= 100),
    role       INTEGER NOT NULL CHECK (role IN (0, 1, 2, 254, 255)),
    -- Whether the person has taken the account over.
    validated  INTEGER NOT NULL CHECK (validated IN (0, 1)),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    -- Argon2id in PHC form; null until there is a password.
    password   TEXT CHECK (length(password) <= 200),
    -- The role of whoever deleted the person, as it was then: nobody below it activates them. Null while they are not deleted.
    deleted_by INTEGER CHECK (deleted_by IN (0, 1, 2, 254, 255)),
    CHECK ((deleted_by IS NULL) = (deleted_at IS NULL))
) STRICT, WITHOUT ROWID;

-- The users of an organization, newest first.
CREATE INDEX person_by_org ON person (org, id);

-- An address belongs to one user of the server; deleting the user frees it.
CREATE UNIQUE INDEX person_by_email ON person (email_key) WHERE deleted_at IS NULL;

-- The deleted users who had an address, by when they were deleted.
CREATE INDEX person_deleted_by_email ON person (email_key, deleted_at) WHERE deleted_at IS NOT NULL;

-- Access tokens. The secret itself is never stored: a caller's token is hashed and looked up by its digest. A session
-- is one row for its whole lifetime: each refresh replaces the digest and the end, which invalidates the previous
-- token.
CREATE TABLE token (
    id            BLOB PRIMARY KEY CHECK (length(id) = 16),
    person        BLOB NOT NULL REFERENCES person (id),
    digest        BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at    INTEGER NOT NULL,
    -- Null: it does not end by itself.
    expires_at    INTEGER,
    revoked_at    INTEGER,
    -- To the minute: a write for every call would cost more than the call.
    last_used     INTEGER,
    -- When a session ends unless it is refreshed; null for a token that is no session.
    refresh_until INTEGER,
    -- What the client of a session calls itself.
    device        TEXT CHECK (length(device) <= 200),
    -- What its user calls an access token that they created over HTTP; null for every other.
    name          TEXT CHECK (length(name) BETWEEN 1 AND 100),
    -- The fewest days before this end at which the end was announced; null: not yet.
    announced     INTEGER CHECK (announced IN (1, 7, 30))
) STRICT, WITHOUT ROWID;

-- The tokens of a user, newest first.
CREATE INDEX token_by_person ON token (person, id);

-- The tokens of a user by when they end or ended, null for those that are valid until revoked. Finds the valid ones,
-- and those that ended long ago and can be removed, without reading all that have ended since.
CREATE INDEX token_by_end ON token (person, (CASE WHEN revoked_at IS NULL OR revoked_at > coalesce(refresh_until, expires_at)
    THEN coalesce(refresh_until, expires_at) ELSE revoked_at END));

-- The access tokens that expire, by expiry; sessions are not among them.
CREATE INDEX token_ending ON token (expires_at)
    WHERE expires_at IS NOT NULL AND revoked_at IS NULL AND refresh_until IS NULL;

-- Refresh tokens of active sessions. Used ones are stored for the lifetime of a refresh token, because using one again
-- ends its session.
CREATE TABLE refresh_token (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    session BLOB NOT NULL REFERENCES token (id) ON DELETE CASCADE,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

-- The refresh tokens to delete with a session, and its used ones that can be removed.
CREATE INDEX refresh_token_by_session ON refresh_token (session, used_at);

-- Sessions of browsers. Nothing refreshes them: each use moves their end. The digest in `token` is that of two halves,
-- one of which the browser has in a cookie.
CREATE TABLE web_session (
    token       BLOB PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
    -- When the password was last given: what is hard to undo asks for it again.
    password_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One-time tokens with which users activate their account, at most one per user.
CREATE TABLE invitation (
    person     BLOB PRIMARY KEY REFERENCES person (id),
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Failed sign-in attempts of the last minutes, so that guessing stays slow across a restart. The account is the SHA-256
-- of the e-mail address in lower case, whether or not it exists; the network is an IPv4 address or a /64, as 16 bytes.
CREATE TABLE wrong_password (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 32),
    network BLOB NOT NULL CHECK (length(network) = 16)
) STRICT;

-- For counting against each of the three limits, and for removing the oldest.
CREATE INDEX wrong_password_by_account ON wrong_password (account, network, at);
CREATE INDEX wrong_password_by_network ON wrong_password (network, at);
CREATE INDEX wrong_password_by_time ON wrong_password (at);

-- Networks from which a user signed in, and when last: an attacker elsewhere cannot lock the user out there.
CREATE TABLE known_network (
    person  BLOB NOT NULL REFERENCES person (id),
    network BLOB NOT NULL CHECK (length(network) = 16),
    at      INTEGER NOT NULL,
    PRIMARY KEY (person, network)
) STRICT, WITHOUT ROWID;

-- Projects of an organization.
CREATE TABLE project (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    org        BLOB NOT NULL REFERENCES org (id),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The projects of an organization, newest first.
CREATE INDEX project_by_org ON project (org, id);

-- The members of a project and their roles.
CREATE TABLE project_member (
    project BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    person  BLOB NOT NULL REFERENCES person (id),
    role    TEXT NOT NULL CHECK (role IN ('OWNER', 'EDITOR')),
    PRIMARY KEY (project, person)
) STRICT, WITHOUT ROWID;

-- The projects of a user.
CREATE INDEX project_member_by_person ON project_member (person);

-- API keys, with which services authenticate. As with access tokens, the secret itself is never stored. AUTOINCREMENT
-- ensures that the id of a deleted key is never reused.
CREATE TABLE api_key (
    id           INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 2147483647),
    org          BLOB NOT NULL REFERENCES org (id),
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- What is shown of the secret: its first and its last characters.
    mask         TEXT NOT NULL CHECK (length(mask) BETWEEN 1 AND 20),
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    note         TEXT NOT NULL CHECK (length(note) <= 250),
    -- Never OWNER.
    role         INTEGER NOT NULL CHECK (role IN (0, 1, 2, 254)),
    -- Valid from the start on and before the end; null: it does not end by itself.
    start_at     INTEGER NOT NULL,
    expire_at    INTEGER CHECK (expire_at > start_at),
    disabled     INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at   INTEGER NOT NULL,
    -- When it got a successor; it cannot get another, and counts against no limit any more.
    rotated_at   INTEGER,
    -- Written in batches, so up to a minute late.
    last_used    INTEGER,
    last_address TEXT CHECK (length(last_address) <= 45),
    -- The fewest days before this end at which the end was announced; null: not yet.
    announced    INTEGER CHECK (announced IN (1, 7, 30)),
    -- The user who created it, or rotated its predecessor; null for a key from before this was recorded.
    created_by   BLOB REFERENCES person (id)
) STRICT;

-- The API keys of an organization, newest first. Includes the columns that decide whether a key counts toward the
-- limit, so that counting reads no row.
CREATE INDEX api_key_by_org ON api_key (org, id, rotated_at, expire_at);

-- The API keys whose expiry is announced, by expiry. Includes the last notice, so that the search reads no row.
CREATE INDEX api_key_by_end ON api_key (expire_at, announced, disabled, rotated_at)
    WHERE expire_at IS NOT NULL AND disabled = 0 AND rotated_at IS NULL;

-- The API keys that a user created.
CREATE INDEX api_key_by_creator ON api_key (created_by) WHERE created_by IS NOT NULL;

-- The projects that an API key is limited to; none: the whole organization.
CREATE TABLE api_key_project (
    api_key INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    project BLOB NOT NULL REFERENCES project (id),
    PRIMARY KEY (api_key, project)
) STRICT, WITHOUT ROWID;

-- The API keys of a project.
CREATE INDEX api_key_project_by_project ON api_key_project (project, api_key);

-- The server's own state: one row.
CREATE TABLE server (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    -- Signed messages from before this moment are refused: a restored backup has forgotten which were used.
    signed_after      INTEGER NOT NULL CHECK (signed_after >= 0),
    -- The first token, from the commit that made it until it was shown; a start that finds one makes another.
    unannounced_token BLOB REFERENCES token (id),
    -- The time of the last backup that has its event.
    backup_recorded   INTEGER NOT NULL CHECK (backup_recorded >= 0),
    -- When a write last showed that the disk takes writes.
    probed_at         INTEGER NOT NULL CHECK (probed_at >= 0),
    -- The latest moment that has surely come: the clock's, unless it leapt ahead. Nothing is judged by an earlier one.
    high_water        INTEGER NOT NULL CHECK (high_water >= 0),
    -- How far the clock came while it ran more than a day ahead of high_water; 0: it did not. Its steps back of up to a day
    -- bring nothing back either.
    clock_ahead       INTEGER NOT NULL CHECK (clock_ahead >= 0),
    -- What the clock showed when it was last looked at: a step back is seen across a restart too.
    clock_seen        INTEGER NOT NULL CHECK (clock_seen >= 0),
    -- Since when, by the clock itself, it has run more than a day ahead of high_water; 0: it does not.
    leapt_at          INTEGER NOT NULL CHECK (leapt_at >= 0)
) STRICT;

INSERT INTO server
    (id, signed_after, unannounced_token, backup_recorded, probed_at, high_water, clock_ahead, clock_seen, leapt_at)
VALUES (1, 0, NULL, 0, 0, 0, 0, 0, 0);

-- Organization keys: public keys as SubjectPublicKeyInfo DER. The private keys are never stored. A key is active, then
-- retiring once it has an end, then retired.
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

-- The keys of an organization: to list them, to count them against the quota, and to verify signatures. Includes the
-- columns that decide which keys verify, so that choosing them reads no row.
CREATE INDEX org_key_by_org ON org_key (org, id, retire_at, deleted_at);

-- The keys that end, by their end. Includes the last notice, so that the search reads no row.
CREATE INDEX org_key_by_end ON org_key (retire_at, announced) WHERE retire_at IS NOT NULL AND deleted_at IS NULL;

-- The predecessors of a key.
CREATE INDEX org_key_by_successor ON org_key (successor) WHERE successor IS NOT NULL;

-- Texts that nodes can fetch with a signed call, such as the environment of a program.
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

-- The registry of nodes. An organization identifies a node by its address.
CREATE TABLE node (
    id           BLOB PRIMARY KEY CHECK (length(id) = 16),
    org          BLOB NOT NULL REFERENCES org (id),
    -- As it was last signed.
    ip           TEXT NOT NULL CHECK (length(ip) BETWEEN 1 AND 253),
    -- The address in canonical form if it is an IP address, else the same text: what must be unique.
    ip_key       TEXT NOT NULL CHECK (length(ip_key) BETWEEN 1 AND 253),
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
    -- When it was announced that nothing is heard of it; null again with the next accepted call.
    silent_at    INTEGER,
    CHECK (deleted_at IS NULL OR key IS NULL),
    UNIQUE (org, ip_key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER node_is_counted AFTER INSERT ON node
BEGIN
    UPDATE org SET nodes = nodes + 1 WHERE id = NEW.org;
END;

CREATE TRIGGER node_is_counted_no_more AFTER DELETE ON node
BEGIN
    UPDATE org SET nodes = nodes - 1 WHERE id = OLD.org;
END;

-- The nodes of an organization, newest first. Includes the column that excludes deleted ones, so that counting reads no
-- row.
CREATE INDEX node_by_org ON node (org, id, deleted_at);

-- The nodes associated with each key, and those to update when a key is deleted.
CREATE INDEX node_by_key ON node (key) WHERE key IS NOT NULL;

-- The nodes by last contact: first those whose silence has not been announced, then the others. Includes what the query
-- filters by, so that counting reads no row.
CREATE INDEX node_by_contact ON node (silent_at, last_contact, deleted_at) WHERE deleted_at IS NULL;

-- Accepted signatures by their timestamp, so that rows are inserted nearly in key order and old ones are adjacent. The
-- digest is the SHA-256 of the signature's bytes.
CREATE TABLE used_signature (
    signed_at INTEGER NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (signed_at, digest)
) STRICT, WITHOUT ROWID;

-- The audit log: append-only, with one hash chain per organization and one for the server itself (org is null). Ids
-- increase in the order of recording across all chains; a restore leaves a gap, so that no id is issued twice.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org        BLOB REFERENCES org (id),
    -- The place within the chain, from 1, without a gap.
    seq        INTEGER NOT NULL CHECK (seq >= 1),
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'api_key', 'node', 'system')),
    actor_id   TEXT NOT NULL,
    -- A node's address, an API key's name. A person's name is looked up, so that the log does not keep it for ever.
    actor_name TEXT,
    action     TEXT NOT NULL,
    context    INTEGER CHECK (context BETWEEN 0 AND 13),
    context_id TEXT,
    -- The id of the project that it happened in.
    project    TEXT,
    -- 0 created, 1 updated, 2 deleted; null for reads and refusals, which clients are not shown.
    change     INTEGER CHECK (change BETWEEN 0 AND 2),
    outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    address    TEXT,
    request_id TEXT,
    detail     TEXT CHECK (detail IS NULL OR json_valid(detail)),
    prev_hash  BLOB NOT NULL CHECK (length(prev_hash) = 32),
    -- SHA-256 of a version tag, prev_hash and every other column, each framed by its length.
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    -- What clients are shown is about something.
    CHECK (change IS NULL OR context IS NOT NULL),
    -- What a node does is about itself, so that it is found as what it did and as what is about it by one index.
    CHECK (actor_kind <> 'node' OR actor_id = coalesce(context_id, ''))
) STRICT;

-- Finds the last entry of a chain, and ensures that no position in it is taken twice.
CREATE UNIQUE INDEX audit_chain ON audit (org, seq);

-- The same for the server's own chain, because nulls are never equal.
CREATE UNIQUE INDEX audit_server_chain ON audit (seq) WHERE org IS NULL;

-- The entries of an organization that clients can see: all of them, by context and change, by actor, by object, and by
-- project. Each index yields the newest first (by time, then by id) without sorting, so that a listing reads no more
-- than it returns and counts. Entries arrive in order, so an insert touches only the last page of an index. Entries of
-- nodes, which register all the time, are an exception: each touches a page of its own by actor, so they are not
-- indexed by object as well.
CREATE INDEX audit_by_time ON audit (org, at) WHERE change IS NOT NULL;
CREATE INDEX audit_by_class ON audit (org, context, change, at) WHERE change IS NOT NULL;
CREATE INDEX audit_by_actor ON audit (org, actor_id, at) WHERE change IS NOT NULL;
CREATE INDEX audit_by_object ON audit (org, context_id, at) WHERE change IS NOT NULL AND actor_kind <> 'node';
CREATE INDEX audit_by_project ON audit (org, project, at) WHERE change IS NOT NULL AND project IS NOT NULL;

-- The other entries, reads and refusals, by time and by actor. Together with the indexes above, which have the changes,
-- they list every entry of an organization, and each entry is in one of each pair.
CREATE INDEX audit_unseen_by_time ON audit (org, at) WHERE change IS NULL;
CREATE INDEX audit_unseen_by_actor ON audit (org, actor_id, at) WHERE change IS NULL;

-- The entries by action, and the refused ones. Nodes register all the time, and audit_by_class finds registrations.
CREATE INDEX audit_by_action ON audit (org, action, at) WHERE action <> 'node.register';
CREATE INDEX audit_refused ON audit (org, at) WHERE outcome = 'refused';

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- Where each chain starts after retention removed earlier entries: position and hash of the last removed entry. The
-- chain is the organization's id, or empty for the server's own.
CREATE TABLE trim_point (
    chain BLOB PRIMARY KEY CHECK (length(chain) IN (0, 16)),
    seq   INTEGER NOT NULL CHECK (seq >= 1),
    hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

-- A trim point can be set only if the chain's last entry records it, so that the remaining entries state what was
-- removed, and only before that entry, so that no chain loses its last one.
CREATE TRIGGER trim_point_is_covered_when_set BEFORE INSERT ON trim_point
WHEN NOT EXISTS (
    SELECT 1 FROM (SELECT seq, action, detail FROM audit WHERE org IS nullif(NEW.chain, x'') ORDER BY seq DESC LIMIT 1) AS last
    WHERE last.action = 'audit.trim' AND NEW.seq < last.seq
    AND last.detail ->> '$.seq' = NEW.seq AND last.detail ->> '$.hash' = lower(hex(NEW.hash))
)
BEGIN
    SELECT RAISE(ABORT, 'no entry covers the trim point');
END;

CREATE TRIGGER trim_point_is_covered_when_moved BEFORE UPDATE ON trim_point
WHEN NEW.chain <> OLD.chain OR NEW.seq <= OLD.seq OR NOT EXISTS (
    SELECT 1 FROM (SELECT seq, action, detail FROM audit WHERE org IS nullif(NEW.chain, x'') ORDER BY seq DESC LIMIT 1) AS last
    WHERE last.action = 'audit.trim' AND NEW.seq < last.seq
    AND last.detail ->> '$.seq' = NEW.seq AND last.detail ->> '$.hash' = lower(hex(NEW.hash))
)
BEGIN
    SELECT RAISE(ABORT, 'a trim point only moves forward, and only to where an entry covers it');
END;

CREATE TRIGGER trim_point_is_never_deleted BEFORE DELETE ON trim_point
BEGIN
    SELECT RAISE(ABORT, 'a trim point only moves forward');
END;

-- Only retention removes entries: those at or before the trim point of their chain.
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT seq FROM trim_point WHERE chain = coalesce(OLD.org, x'')), 0)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- How often something happened in an organization, per hour, for its statistics. Kept for 31 days.
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

-- The oldest counts, to be removed.
CREATE INDEX hourly_count_by_hour ON hourly_count (hour);

-- The events that a user has read.
CREATE TABLE read_mark (
    person BLOB NOT NULL REFERENCES person (id),
    event  INTEGER NOT NULL REFERENCES audit (id) ON DELETE CASCADE,
    PRIMARY KEY (person, event)
) STRICT, WITHOUT ROWID;

-- The marks to delete when retention removes their event.
CREATE INDEX read_mark_by_event ON read_mark (event);

-- Where an organization's events are sent. Contexts and changes are sets of numbers, one bit each; 0 means all.
CREATE TABLE webhook (
    id              BLOB PRIMARY KEY CHECK (length(id) = 16),
    org             BLOB NOT NULL REFERENCES org (id),
    url             TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    name            TEXT NOT NULL CHECK (length(name) <= 100),
    contexts        INTEGER NOT NULL CHECK (contexts BETWEEN 0 AND 16383),
    changes         INTEGER NOT NULL CHECK (changes BETWEEN 0 AND 7),
    -- Why it is off: an administrator switched it off, its receiver is gone, or too much was on its way. Null while it is on.
    disabled        TEXT CHECK (disabled IN ('administrator', 'gone', 'overfull')),
    -- Sealed under the key of the key file: the key's id (8 bytes), a nonce (12), and AES-256-GCM of 32 bytes.
    secret          BLOB NOT NULL CHECK (length(secret) = 68),
    -- The secret before, and until when it signs too.
    previous_secret BLOB CHECK (length(previous_secret) = 68),
    previous_until  INTEGER CHECK ((previous_until IS NULL) = (previous_secret IS NULL)),
    created_at      INTEGER NOT NULL,
    -- What came of the last try.
    last_at         INTEGER,
    last_status     INTEGER,
    last_why        TEXT CHECK (length(last_why) <= 200),
    -- The delivery whose try found the receiver down last; null once it answered anything else, or the URL was changed. Two in
    -- a row that are not the same show that it is the receiver that fails.
    last_failed     BLOB CHECK (length(last_failed) = 16),
    -- Whether the log says already that it fails to take events that say of others that they failed; until it takes something.
    failure_reported INTEGER NOT NULL DEFAULT 0 CHECK (failure_reported IN (0, 1)),
    -- How much is on its way to it, as the triggers below count it: the bound is looked at with every event.
    pending         INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    -- How often somebody did what may have mended its receiver, or wants to know: gave it another URL or secret, switched it
    -- on, tested it, or sent something once more. A rest that its receiver asked for before is over then.
    backoff_epoch          INTEGER NOT NULL DEFAULT 0 CHECK (backoff_epoch >= 0)
) STRICT, WITHOUT ROWID;

-- The webhooks of an organization, newest first; read with every event.
CREATE INDEX webhook_by_org ON webhook (org, id);

-- The outbox: deliveries of events to webhooks, written in the same transaction as the event. Before retention removes
-- an audit entry, its deliveries are removed here. No foreign key refers to the webhook: the deliveries of a deleted
-- one are removed gradually.
CREATE TABLE delivery (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    webhook     BLOB NOT NULL CHECK (length(webhook) = 16),
    event       INTEGER NOT NULL REFERENCES audit (id) ON DELETE CASCADE,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- When the next try is due.
    due_at      INTEGER NOT NULL,
    -- How often it was tried: at first by itself, then also by the try of another delivery that found the receiver down.
    attempts    INTEGER NOT NULL CHECK (attempts >= 0),
    -- What came of the last try.
    last_status INTEGER,
    last_why    TEXT CHECK (length(last_why) <= 200),
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER CHECK ((ended_at IS NULL) = (state = 'pending'))
) STRICT, WITHOUT ROWID;

-- The deliveries of a webhook, newest first. Includes the state, so that counting and skipping read no row.
CREATE INDEX delivery_by_webhook ON delivery (webhook, id, state);

-- The pending deliveries of a webhook, the first due first. Includes the creation time, so that counting pending ones
-- reads no row.
CREATE INDEX delivery_due ON delivery (webhook, due_at, id, created_at) WHERE state = 'pending';

-- The finished deliveries, to be replayed or removed: more failed ones are retained than delivered ones.
CREATE INDEX delivery_ended ON delivery (webhook, state, ended_at, id) WHERE ended_at IS NOT NULL;

-- The deliveries of an audit log entry.
CREATE INDEX delivery_by_event ON delivery (event);

CREATE TRIGGER delivery_is_counted AFTER INSERT ON delivery WHEN NEW.state = 'pending'
BEGIN
    UPDATE webhook SET pending = pending + 1 WHERE id = NEW.webhook;
END;

CREATE TRIGGER delivery_is_counted_again AFTER UPDATE OF state ON delivery
WHEN (NEW.state = 'pending') <> (OLD.state = 'pending')
BEGIN
    UPDATE webhook SET pending = pending + iif(NEW.state = 'pending', 1, -1) WHERE id = NEW.webhook;
END;

CREATE TRIGGER delivery_is_counted_no_more AFTER DELETE ON delivery WHEN OLD.state = 'pending'
BEGIN
    UPDATE webhook SET pending = pending - 1 WHERE id = OLD.webhook;
END;
