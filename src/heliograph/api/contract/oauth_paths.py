"""Where users and applications sign in: the paths that docusign-esign 6.1.0 calls."""

from __future__ import annotations

from typing import Final

TOKEN: Final = "/oauth/token"  # noqa: S105 (a path)
REVOKE: Final = "/oauth/revoke"
USERINFO: Final = "/oauth/userinfo"
AUTHORIZE: Final = "/oauth/auth"
METADATA: Final = "/.well-known/oauth-authorization-server"
