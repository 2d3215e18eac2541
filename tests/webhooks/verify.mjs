// Verifies one delivery with the npm library standardwebhooks 1.1.1, found from the working directory:
// node verify.mjs SECRET ID TIMESTAMP SIGNATURE < BODY. Prints "verified" and exits 0, or exits 1 if the library
// rejects the signature, 3 if the library is not installed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

let library;
try {
  library = createRequire(process.cwd() + "/")("standardwebhooks");
} catch {
  process.exit(3);
}
const [secret, id, timestamp, signature] = process.argv.slice(2);
const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
try {
  new library.Webhook(secret).verify(readFileSync(0), headers);
} catch (error) {
  process.exit(error instanceof library.WebhookVerificationError ? 1 : 2);
}
console.log("verified");
