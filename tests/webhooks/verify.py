"""Verifies one delivery with the PyPI library standardwebhooks 1.1.0: verify.py SECRET ID TIMESTAMP SIGNATURE < BODY.

Prints "verified" and exits 0, or exits 1 if the library rejects the signature, 3 if the library is not installed.
"""

import sys

try:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError:
    sys.exit(3)

secret, id, timestamp, signature = sys.argv[1:]
headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
try:
    Webhook(secret).verify(sys.stdin.buffer.read().decode(), headers)
except WebhookVerificationError:
    sys.exit(1)
print("verified")
