//! The values that the schema's rules accept and refuse. `%` marks where a case inserts its value.

const ORG: &str = "INSERT INTO org (id, name, created_at) VALUES (x'01020304050607080910111213141516', %, 0)";
const USER: &str =
    "INSERT INTO person VALUES (x'01020304050607080910111213141516', zeroblob(16), %, 0, NULL, NULL, NULL)";
const TOKEN: &str =
    "INSERT INTO token VALUES (x'01020304050607080910111213141516', %, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
const API_KEY: &str =
    "INSERT INTO api_key VALUES (2, zeroblob(16), randomblob(32), 'oka_', %, 0, 0, NULL, NULL, NULL, NULL, NULL)";
const KEY: &str = "INSERT INTO org_key (id, org, public_key, created_at) VALUES (x'01020304050607080910111213141516', zeroblob(16), %, 0)";
const SECRET: &str = "INSERT INTO secret VALUES (x'01020304050607080910111213141516', %, 0)";
pub const NODE: &str = "INSERT INTO node VALUES (x'01020304050607080910111213141516', zeroblob(16), %, NULL)";
const USED: &str = "INSERT INTO used_signature VALUES (0, %)";
pub const TRIM_POINT: &str = "INSERT INTO trim_point VALUES (x'0102030405060708090A0B0C0D0E0F10', %)";
const WEBHOOK: &str =
    "INSERT INTO webhook VALUES (x'01020304050607080910111213141516', zeroblob(16), %, NULL, 0, 0, 0)";
const DELIVERY: &str = "INSERT INTO delivery VALUES (x'01020304050607080910111213141516', %)";
const COUNT: &str = "INSERT INTO hourly_count VALUES (zeroblob(16), %)";
const AUDIT: &str = "INSERT INTO audit VALUES (3, zeroblob(16), %)";

/// A statement, the last value that it accepts, and the first that it refuses.
pub const LIMITS: [(&str, &str, &str); 93] = [
    ("INSERT INTO org (id, name, created_at) VALUES (%, 'a', 0)", "x'01020304050607080910111213141516'", "x'010203040506070809101112131415'"),
    (ORG, "'a'", "''"),
    (ORG, "printf('%.100c', 'a')", "printf('%.101c', 'a')"),
    ("UPDATE org SET nodes = % WHERE id = zeroblob(16)", "0", "-1"),
    (USER, "'a@c', 'a@c', '', '', 255, 0", "'ac', 'ac', '', '', 255, 0"),
    (USER, "'a@c', 'a@c', '', '', 254, 0", "'a@c', 'a@c', '', '', 253, 0"),
    (USER, "'a@c', 'a@c', '', '', 2, 0", "'a@c', 'a@c', '', '', 3, 0"),
    (USER, "'a@c', 'a@c', '', '', 0, 1", "'a@c', 'a@c', '', '', 0, 2"),
    (USER, "'A@B', 'a@c', '', '', 0, 1", "'A@B', 'a@b', '', '', 0, 1"),
    (USER, "'a@c', 'a@c', printf('%.100c', 'a'), '', 0, 1", "'a@c', 'a@c', printf('%.101c', 'a'), '', 0, 1"),
    (USER, "'a@c', 'a@c', '', printf('%.100c', 'a'), 0, 1", "'a@c', 'a@c', '', printf('%.101c', 'a'), 0, 1"),
    (USER, "printf('%.254c', 'a'), 'a@c', '', '', 0, 1", "printf('%.255c', 'a'), 'a@c', '', '', 0, 1"),
    ("INSERT INTO person SELECT x'01020304050607080910111213141516', org, email, email_key, '', '', 0, 1, 0, %
        FROM person", "1, NULL, 255", "NULL, NULL, NULL"),
    ("UPDATE person SET %", "deleted_at = 1, deleted_by = 254", "deleted_at = 1, deleted_by = 253"),
    ("UPDATE person SET %", "deleted_at = 1, deleted_by = 0", "deleted_at = 1, deleted_by = NULL"),
    ("UPDATE person SET %", "deleted_at = NULL, deleted_by = NULL", "deleted_at = NULL, deleted_by = 255"),
    (TOKEN, "zeroblob(16), randomblob(32)", "zeroblob(16), randomblob(31)"),
    (TOKEN, "zeroblob(16), randomblob(32)", "zeroblob(16), zeroblob(32)"),
    (TOKEN, "zeroblob(16), randomblob(32)", "randomblob(16), randomblob(32)"),
    (KEY, "zeroblob(256)", "zeroblob(255)"),
    (KEY, "zeroblob(1024)", "zeroblob(1025)"),
    (KEY, "zeroblob(256)", "'a text is no blob'"),
    (KEY, "zeroblob(256)", "zeroblob(294)"),
    ("UPDATE org_key SET name = %", "printf('%.100c', 'a')", "printf('%.101c', 'a')"),
    ("UPDATE org_key SET brought = %", "1", "2"),
    ("UPDATE org_key SET retire_unused = %", "1", "2"),
    ("UPDATE org_key SET announced = %", "0", "2"),
    ("UPDATE org_key SET %", "successor = zeroblob(16), retire_at = 0", "successor = zeroblob(16), retire_at = NULL"),
    ("UPDATE org_key SET retire_at = 0, successor = %", "zeroblob(16)", "randomblob(16)"),
    (SECRET, "zeroblob(16), 's3', 'r', zeroblob(37), 1", "zeroblob(16), 's3', '', zeroblob(37), 1"),
    (SECRET, "zeroblob(16), printf('%.16c', 'a'), '', zeroblob(37), 1", "zeroblob(16), printf('%.17c', 'a'), '', zeroblob(37), 1"),
    (SECRET, "zeroblob(16), 'a', printf('%.64c', 'a'), zeroblob(37), 1", "zeroblob(16), 'a', printf('%.65c', 'a'), zeroblob(37), 1"),
    (SECRET, "zeroblob(16), 'a', '', zeroblob(16420), 16384", "zeroblob(16), 'a', '', zeroblob(16421), 16385"),
    (SECRET, "zeroblob(16), 'a', '', zeroblob(37), 1", "zeroblob(16), 'a', '', zeroblob(37), 2"),
    (SECRET, "zeroblob(16), 'a', '', zeroblob(37), 1", "randomblob(16), 'a', '', zeroblob(37), 1"),
    (NODE, "'i', 'i', 'r', '', '', '', 7, NULL, 0, NULL", "'i', 'i', 'r', '', '', '', 8, NULL, 0, NULL"),
    (NODE, "'i', 'i', 'r', 'GCP', '', '', 0, NULL, 0, NULL", "'i', 'i', 'r', 'gcp', '', '', 0, NULL, 0, NULL"),
    (NODE, "'i', 'i', 'r', '', '', '', 0, NULL, 0, 0", "'i', 'i', 'r', '', '', '', 0, zeroblob(16), 0, 0"),
    (NODE, "'i', 'i', 'r', '', '', '', 0, zeroblob(16), 0, NULL", "'i', 'i', 'r', '', '', '', 0, randomblob(16), 0, NULL"),
    (NODE, "'i', 'i', 'r', '', '', '', 0, NULL, 0, NULL", "'i', 'ip', 'r', '', '', '', 0, NULL, 0, NULL"),
    (
        NODE,
        "printf('%.253c', 'a'), 'i', 'r', '', '', '', 0, NULL, 0, NULL",
        "printf('%.254c', 'a'), 'i', 'r', '', '', '', 0, NULL, 0, NULL",
    ),
    (
        NODE,
        "'i', printf('%.253c', 'a'), 'r', '', '', '', 0, NULL, 0, NULL",
        "'i', printf('%.254c', 'a'), 'r', '', '', '', 0, NULL, 0, NULL",
    ),
    (
        NODE,
        "'i', 'i', printf('%.64c', 'a'), '', '', '', 0, NULL, 0, NULL",
        "'i', 'i', printf('%.65c', 'a'), '', '', '', 0, NULL, 0, NULL",
    ),
    (
        NODE,
        "'i', 'i', 'r', '', printf('%.32c', 'a'), printf('%.64c', 'a'), 0, NULL, 0, NULL",
        "'i', 'i', 'r', '', printf('%.33c', 'a'), printf('%.64c', 'a'), 0, NULL, 0, NULL",
    ),
    (USED, "zeroblob(32)", "zeroblob(33)"),
    (COUNT, "3600000, 'call', '200', 1", "3600001, 'call', '200', 1"),
    (COUNT, "0, 'node', 'heard', 1", "0, 'nodes', 'heard', 1"),
    (COUNT, "0, 'call', printf('%.20c', 'a'), 1", "0, 'call', printf('%.21c', 'a'), 1"),
    (COUNT, "0, 'call', '200', 1", "0, 'call', '200', 0"),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'robot', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "1, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, '[]', zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, '[', zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 2, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 14, 'n', NULL, 2, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 0, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 3, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', '', 'i', 'a', 0, NULL, NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, NULL, NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'user', 'u', NULL, 'a', NULL, 'c', NULL, NULL, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'user', 'u', NULL, 'a', NULL, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        "INSERT INTO audit SELECT 3, NULL, %, 0, 'system', 's', NULL, 'a', NULL, NULL, NULL, NULL, 'done', NULL, NULL, NULL,
        zeroblob(32), zeroblob(32)",
        "2",
        "1",
    ),
    (API_KEY, "'a', '', 254, 0, NULL", "'a', '', 255, 0, NULL"),
    (API_KEY, "'a', '', 0, 5, 6", "'a', '', 0, 5, 5"),
    (API_KEY, "'a', printf('%.250c', 'a'), 0, 0, NULL", "'a', printf('%.251c', 'a'), 0, 0, NULL"),
    (API_KEY, "printf('%.100c', 'a'), '', 0, 0, NULL", "printf('%.101c', 'a'), '', 0, 0, NULL"),
    ("UPDATE api_key SET announced = %", "30", "29"),
    ("UPDATE api_key SET created_by = %", "zeroblob(16)", "randomblob(16)"),
    ("UPDATE token SET announced = %", "30", "29"),
    ("UPDATE token SET name = %", "'a'", "''"),
    ("UPDATE token SET name = %", "printf('%.100c', 'a')", "printf('%.101c', 'a')"),
    ("INSERT INTO api_key_project VALUES (%)", "1, zeroblob(16)", "1, randomblob(16)"),
    ("INSERT INTO project_member VALUES (%)", "zeroblob(16), zeroblob(16), 'EDITOR'", "zeroblob(16), zeroblob(16), 'OTHER'"),
    ("INSERT INTO invitation VALUES (zeroblob(16), %, 0)", "randomblob(32)", "randomblob(31)"),
    ("INSERT INTO refresh_token VALUES (%, NULL)", "randomblob(32), zeroblob(16)", "randomblob(32), randomblob(16)"),
    ("INSERT INTO web_session VALUES (%, 0)", "zeroblob(16)", "randomblob(16)"),
    ("INSERT INTO wrong_password VALUES (NULL, 0, zeroblob(32), %)", "zeroblob(16)", "zeroblob(4)"),
    ("INSERT INTO known_network VALUES (zeroblob(16), %, 0)", "zeroblob(16)", "zeroblob(4)"),
    ("INSERT INTO read_mark VALUES (%)", "zeroblob(16), 2", "zeroblob(16), 3"),
    ("UPDATE server SET %", "signed_after = 0", "signed_after = -1"),
    ("UPDATE server SET %", "high_water = 0, clock_seen = 0, leapt_at = 0", "high_water = -1"),
    ("UPDATE server SET %", "clock_ahead = 0", "clock_ahead = -1"),
    (TRIM_POINT, "1, zeroblob(32)", "1, zeroblob(31)"),
    (TRIM_POINT, "1, zeroblob(32)", "2, zeroblob(32)"),
    (TRIM_POINT, "1, zeroblob(32)", "1, randomblob(32)"),
    (
        WEBHOOK,
        "printf('%.2048c', 'a'), '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "printf('%.2049c', 'a'), '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', printf('%.100c', 'a'), 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', printf('%.101c', 'a'), 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 16383, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 16384, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 7, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 8, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, 'overfull', zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, 'away', zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, NULL, zeroblob(67), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, NULL, zeroblob(68), zeroblob(68), 1, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, NULL, zeroblob(68), NULL, 1, 0, NULL, NULL, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'pending', 0, 0, NULL, NULL, 0, NULL",
        "zeroblob(15), 1, 'pending', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 2, 'pending', 0, 0, NULL, NULL, 0, NULL",
        "zeroblob(16), 9, 'pending', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'failed', 0, 0, NULL, NULL, 0, 5",
        "zeroblob(16), 1, 'lost', 0, 0, NULL, NULL, 0, 5",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'delivered', 0, 0, NULL, NULL, 0, 5",
        "zeroblob(16), 1, 'delivered', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'pending', 0, 0, NULL, printf('%.200c', 'a'), 0, NULL",
        "zeroblob(16), 1, 'pending', 0, 0, NULL, printf('%.201c', 'a'), 0, NULL",
    ),
];
