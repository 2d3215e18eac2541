#!/usr/bin/env python3
"""Checks a reverse proxy that has orgkeys verify API keys: what it lets through, and what the application behind it reads.

usage: check.py PROXY APPLICATION ORGANIZATION KEY DELETED

PROXY and APPLICATION are addresses such as 127.0.0.1:8080. The application is a WSGI application in this program. It reads
header names as CGI and PHP do: each character that is no letter or digit counts as an underscore. KEY is an API key of
the whole organization with the role USER, and DELETED is one that no longer exists.
"""

import base64
import http.client
import re
import sys
import threading
from http.client import HTTPConnection
from wsgiref.simple_server import WSGIRequestHandler, make_server

NAMES = ("Organization", "Key", "Role", "Projects")
# The characters that a header name may contain besides letters and digits (RFC 9110, section 5.6.2).
SEPARATORS = "-_.!#$%&'*+^`|~"
BASIC = "Basic " + base64.b64encode(b"ada:secret").decode()
SESSION = "Bearer eyJhbGciOiJIUzI1NiJ9.e30.oka_BgXGhi3SbQa1YbF6Mtg"
# Python's server refuses more than 100 headers by itself.
http.client._MAXHEADERS = 1_000


class Cgi(WSGIRequestHandler):
    """Adds the headers as a CGI application reads them, and as they were sent."""

    def get_environ(self):
        environ = super().get_environ()
        environ["sent"] = {}
        for name, value in self.headers.items():
            environ["sent"].setdefault(re.sub("[^A-Z0-9]", "_", name.upper()), []).append(value)
        return environ

    def log_message(self, *_):
        pass


class Application:
    """An application that remembers the last request."""

    def __init__(self, address):
        host, port = address.split(":")
        self.read = None
        self.server = make_server(host, int(port), self.answer, handler_class=Cgi)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, environ, start):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.read = {**environ["sent"], "body": body.decode(), "query": environ["QUERY_STRING"]}
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"the application\n"]


def main(proxy, address, organization, key, deleted):
    application = Application(address)
    faults, count = [], 0

    def ask(*headers, path="/", body=None):
        """Sends a request. Returns the status, and what the application read."""
        application.read = None
        connection = HTTPConnection(proxy, timeout=30)
        connection.putrequest("POST" if body else "GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", len(body))
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, application.read

    def expect(what, found, wanted):
        nonlocal count
        count += 1
        if found != wanted:
            faults.append(f"{what}: {found!r} instead of {wanted!r}")

    def passes(what, *headers, **request):
        """The request must arrive, with what orgkeys says of the key and without the key."""
        status, read = ask(*headers, **request)
        expect(what, status, 200)
        if read:
            told = {name: read.get(f"X_ORGKEYS_{name.upper()}", [""]) for name in NAMES}
            own = {"Organization": [organization], "Key": told["Key"], "Role": ["0"], "Projects": [""]}
            expect(what, told, own)
            expect(f"{what}: the key's id", [value.isdigit() for value in told["Key"]], [True])
            expect(f"{what}: the application has the key", key in str(read), False)
        return read or {}

    def refused(what, *headers, **request):
        expect(what, ask(*headers, **request), (401, None))

    presented = ("X-Api-Key", key)
    bearer = ("Authorization", f"Bearer {key}")
    passes("the key in X-Api-Key", presented)
    for text in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
        read = passes(f"the key as {text[:7]!r}", ("Authorization", text))
        expect("Authorization with a key", read.get("AUTHORIZATION"), None)
    passes("the key twice", presented, bearer)
    passes("a key with a tab before it", presented, ("Authorization", f"Bearer \t{key}"))
    read = passes("a body", presented, path="/?organization=org-other&role=255", body=b"x" * 1_000)
    expect("the body", (read.get("body"), read.get("query")), ("x" * 1_000, "organization=org-other&role=255"))
    for own in (BASIC, SESSION):
        read = passes("the application's own Authorization", presented, ("Authorization", own))
        expect("the application's own Authorization", read.get("AUTHORIZATION"), [own])

    refused("no key")
    refused("a deleted key", ("X-Api-Key", deleted))
    refused("a deleted key as Bearer", ("Authorization", f"Bearer {deleted}"))
    refused("another credential", ("Authorization", BASIC))
    refused("a deleted key, then a valid one", ("X-Api-Key", deleted), presented)

    for first in SEPARATORS:
        for second in SEPARATORS:
            forged = [(f"X{first}Orgkeys{second}{name}", "255") for name in NAMES]
            passes(f"forged as {forged[0][0]}", presented, *forged)
            passes(f"forged as {forged[0][0].lower()}", bearer, *((name.lower(), value) for name, value in forged))
    for name in NAMES:
        for value in (f"X-Orgkeys-{name}", f"close, x-orgkeys-{name.lower()}", "x-api-key, authorization"):
            passes(f"Connection: {value}", presented, ("Connection", value))
        passes("two Connection headers", presented, ("Connection", "close"), ("Connection", f"X-Orgkeys-{name}"))

    cookies = [("Cookie", f"c{number}={'c' * 6_500}") for number in range(4)]
    many = [(f"X-Trace-{number}", "1") for number in range(110)]
    own = ("Authorization", f"Negotiate {'k' * 6_500}")
    for what, others in (("four large cookies", cookies), ("110 headers", many), ("a large Authorization", [own])):
        passes(what, presented, *others)
        refused(f"no key and {what}", *others)
    for what, others in (("four large cookies", cookies), ("110 headers", many)):
        passes(f"{what}, Bearer", bearer, *others)
    passes("a long address", presented, ("Referer", f"http://a/{'r' * 7_000}"), path=f"/?{'q' * 7_000}")

    print(f"{count} checks, {len(faults)} failed")
    for fault in faults[:20]:
        print("   ", fault[:400])
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
