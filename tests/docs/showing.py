"""What a test of a page looks at, and the ports that it takes instead of the page's."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from tests.docs.answers import same
from tests.docs.pages import Block


def check(block: Block, written: str) -> None:
    """A block that writes something shows it, and writes what it shows."""
    if block.answer is None:
        assert written.strip() == "", f"line {block.line + 1} shows nothing of:\n{written}"
    else:
        assert same(block.answer, written), (
            f"line {block.answer.line + 1} shows\n{block.answer.text}\n"
            f"but this was written:\n{written}"
        )


def free_ports(*usual: str) -> dict[str, str]:
    """What stands for the ports of a page, as its addresses and options name them."""
    found: dict[str, str] = {}
    with ExitStack() as stack:  # all are open at once, so that each is another
        for port in usual:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            free = str(server.getsockname()[1])
            found |= {f"127.0.0.1:{port}": f"127.0.0.1:{free}", f"--port {port}": f"--port {free}"}
            if port == "8080":  # what serve takes without an option
                found["heliograph serve --data-dir"] = f"heliograph serve --port {free} --data-dir"
    return found
