"""What the SDKs' tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import docusign_esign
import pytest

from heliograph.incoming import dev_certificate
from tests.integration import Integration, integrate
from tests.server import serving


@pytest.fixture
async def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Integration]:
    """A server over HTTPS that the SDK, requests and Node trust by their configuration."""
    folder = tmp_path / "tls"
    dev_certificate.issue(folder)
    tls = {"tls_cert": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}
    monkeypatch.setattr(docusign_esign.Configuration(), "ssl_ca_cert", str(folder / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(folder / "ca.pem"))
    async with serving(tmp_path, **tls) as api:
        yield await integrate(api)
