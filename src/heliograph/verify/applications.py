"""An application under test on a socket of its own, for as long as a test takes."""

from __future__ import annotations

import contextlib
import inspect
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn


@contextmanager
def serving(app: Any, sock: socket.socket) -> Iterator[None]:
    """Serve a WSGI or ASGI application on a listening socket until the context ends."""
    with (_asgi if _is_asgi(app) else _wsgi)(app, sock):
        yield


def _is_asgi(app: Any) -> bool:
    """ASGI applications are called with three things and awaited; WSGI ones with two."""
    call = app if inspect.isroutine(app) else type(app).__call__
    return inspect.iscoroutinefunction(call)


@contextmanager
def _asgi(app: Any, sock: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="auto"))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """A test has no use for it."""


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who fires may cut connections."""


@contextmanager
def _wsgi(app: Any, sock: socket.socket) -> Iterator[None]:
    server = _Threads(sock.getsockname(), _Quiet, bind_and_activate=False)
    with contextlib.closing(server.socket):
        server.socket = sock.dup()
    server.server_name, server.server_port = sock.getsockname()
    server.setup_environ()
    server.set_app(app)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
