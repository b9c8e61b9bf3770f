"""Whether a message is DocuSign's: verify_hmac.py SECRET SIGNATURE < body, as its guide has it."""

import base64
import hashlib
import hmac
import sys

secret, signature = sys.argv[1:]
digest = hmac.new(secret.encode("utf-8"), sys.stdin.buffer.read(), hashlib.sha256).digest()
print(hmac.compare_digest(base64.b64encode(digest), signature.encode("utf-8")))  # noqa: T201
