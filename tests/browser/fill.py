#!/usr/bin/env python3
"""Fills the database of a server that is stopped with nodes, API keys, and registrations in the audit log.

usage: tests/browser/fill.py DATABASE NODES API-KEYS ENTRIES

The entries continue the chain of the only organization, as src/crypto/chain.rs hashes it.
"""

import hashlib
import secrets
import sqlite3
import sys
import time
import uuid

MINUTE = 60_000


def framed(column):
    """A column as it is hashed."""
    if column is None:
        return b"n"
    if isinstance(column, int):
        return b"i" + column.to_bytes(8, "big", signed=True)
    text = column.encode()
    return b"t" + len(text).to_bytes(8, "big") + text


def id_at(milliseconds):
    """A UUID version 7."""
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return uuid.UUID(int=number)


def main(path, nodes, api_keys, entries):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -200000")
    database.execute("BEGIN")
    org = database.execute("SELECT id FROM org").fetchone()[0]
    now = int(time.time() * 1000)
    begin = now - 29 * 24 * 60 * MINUTE

    ids = [id_at(begin + number) for number in range(nodes)]
    database.executemany(
        "INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, last_contact)"
        " VALUES (?1, ?2, ?3, ?3, ?4, 'AWS', 'active', ?5, 1, ?6)",
        (
            (
                node.bytes,
                org,
                f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                ("eu-central-1", "eu-west-1", "us-east-1")[number % 3],
                f"2.{number % 5}.0",
                now - number % 300_000,
            )
            for number, node in enumerate(ids)
        ),
    )
    database.executemany(
        "INSERT INTO api_key (org, digest, mask, name, note, role, start_at, expire_at, disabled, created_at)"
        " VALUES (?1, ?2, ?3, ?4, '', 0, ?5, ?6, 0, ?5)",
        (
            (org, secrets.token_bytes(32), f"oka_ab..{number:04}", f"service {number}", begin, now + 90 * 24 * 60 * MINUTE)
            for number in range(api_keys)
        ),
    )
    database.execute("COMMIT")

    name = f"org-{uuid.UUID(bytes=org)}"
    seq, previous = database.execute("SELECT seq, hash FROM audit WHERE org = ? ORDER BY seq DESC LIMIT 1", (org,)).fetchone()
    last = database.execute("SELECT max(id) FROM audit").fetchone()[0]
    at = database.execute("SELECT max(at) FROM audit").fetchone()[0]
    actors = [f"node-{node}" for node in ids]

    def chain():
        nonlocal previous
        for number in range(1, entries + 1):
            actor = actors[number % nodes]
            address = f"10.0.{number >> 8 & 255}.{number & 255}"
            columns = (last + number, name, seq + number, at, "node", actor, address, "node.register", 9, actor, None, 1)
            columns += ("done", address, "018d0b6a-5c80-7000-8000-000000000005", '{"new":false}')
            digest = hashlib.sha256(b"orgkeys audit v1" + previous + b"".join(map(framed, columns))).digest()
            yield (columns[0], org, *columns[2:], previous, digest)
            previous = digest

    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO audit (id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project,"
        " change, outcome, address, request_id, detail, prev_hash, hash)"
        f" VALUES ({', '.join('?' * 18)})",
        chain(),
    )
    database.execute("COMMIT")
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
