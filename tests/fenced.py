"""The commands, in a process that cannot speak to anything but this machine.

For tests that hand made-up addresses to a server: `python -m tests.fenced serve ...`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from typing import Any

from heliograph.cli import main


def _fence(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "127.0.0.1")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(text).is_loopback:
            return
    if text != "localhost":
        raise PermissionError(f"{text} is not on this machine.")


if __name__ == "__main__":
    sys.addaudithook(_fence)
    main()
