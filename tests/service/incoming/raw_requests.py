"""Raw requests and what must become of each (RFC 9112); `...` ends a head."""

from __future__ import annotations

SECOND = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
"""What a smuggler would like to be taken for a request."""

_GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
_POST = b"POST /healthz HTTP/1.1\r\nHost: a\r\n"
_CLOSE = b"Connection: close\r\n\r\n"
CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n" + _CLOSE


def _lengths(*lines: bytes, body: bytes = b"hello") -> bytes:
    return _POST + b"".join(line + b"\r\n" for line in lines) + _CLOSE + body


def _coded(value: bytes) -> bytes:
    return _lengths(b"Transfer-Encoding:" + value, body=b"0\r\n\r\n" + SECOND)


LEGAL: dict[str, tuple[bytes, int]] = {
    "plain": (_GET + _CLOSE, 200),
    "http/1.0 without a host": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "empty lines before": (b"\r\n\r\n" + _GET + _CLOSE, 200),
    "header without space": (b"GET /healthz HTTP/1.1\r\nHost:a\r\n" + _CLOSE, 200),
    "spaces around a value": (_GET + b"X: \t b \t\r\n" + _CLOSE, 200),
    "bytes above ascii in a value": (_GET + b"X: \xff\xc3\xa9\r\n" + _CLOSE, 200),
    "host with port": (b"GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\n" + _CLOSE, 200),
    "an empty header": (_GET + b"X:\r\n" + _CLOSE, 200),
    "body by length": (_lengths(b"Content-Length: 5"), 405),
    "leading zeros": (_lengths(b"Content-Length: 005"), 405),
    "body in chunks": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", 405),
    "chunk extension": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", 405),
    "trailer": (CHUNKED + b"0\r\nAuthorization: Bearer x\r\n\r\n", 405),
    "upgrade with a body": (
        _POST + b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nContent-Length: 5\r\n"
        b"Connection: Upgrade, HTTP2-Settings, close\r\n\r\nhello",
        405,
    ),
    "upgrade to websocket": (
        _GET + b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
        200,
    ),
    "stray line end after a body": (_lengths(b"Content-Length: 5", body=b"hello\r\n"), 405),
    "odd path": (b"GET /%00/..//\\|{}? HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 404),
    "path of two slashes": (b"GET //healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 404),
    "trace": (b"TRACE /healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 405),
}
"""Answered by an operation: what a strict reading must not break."""

REFUSED: dict[str, tuple[bytes, int]] = {
    "length and chunks": (
        _lengths(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SECOND),
        400,
    ),
    "chunks and length": (
        _lengths(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + SECOND),
        400,
    ),
    "two lengths": (_lengths(b"Content-Length: 0", b"Content-Length: 34", body=SECOND), 400),
    "two equal lengths": (_lengths(b"Content-Length: 5", b"Content-Length: 5"), 400),
    "length +5": (_lengths(b"Content-Length: +5"), 400),
    "length -5": (_lengths(b"Content-Length: -5"), 400),
    "length 0x5": (_lengths(b"Content-Length: 0x5"), 400),
    "length 5.0": (_lengths(b"Content-Length: 5.0"), 400),
    "list of lengths": (_lengths(b"Content-Length: 5, 5"), 400),
    "length of two words": (_lengths(b"Content-Length: 5 5"), 400),
    "empty length": (_lengths(b"Content-Length:"), 400),
    "length that overflows": (_lengths(b"Content-Length: 99999999999999999999"), 400),
    "length in arabic digits": (_lengths(b"Content-Length: \xd9\xa5"), 400),
    "coding xchunked": (_coded(b" xchunked"), 400),
    "coding chunked, identity": (_coded(b" chunked, identity"), 400),
    "coding identity": (_coded(b" identity"), 400),
    "coding gzip, chunked": (_coded(b" gzip, chunked"), 400),
    "coding twice chunked": (_coded(b" chunked, chunked"), 400),
    "coding with a parameter": (_coded(b" chunked;q=1"), 400),
    "coding in quotes": (_coded(b' "chunked"'), 400),
    "coding after a vertical tab": (_coded(b" \x0bchunked"), 400),
    "two codings": (
        _lengths(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=SECOND),
        400,
    ),
    "chunks in http/1.0": (
        b"POST /healthz HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunk size 0x5": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size -1": (CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size that overflows": (CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nhello", 400),
    "chunk size and a space": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "chunk longer than said": (CHUNKED + b"5\r\nhelloo\r\n0\r\n\r\n", 400),
    "chunks with bare line feeds": (CHUNKED + b"5\nhello\n0\n\n", 400),
    "chunk extension with a line feed": (CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    "trailer with nul": (CHUNKED + b"0\r\nA: b\x00\r\n\r\n", 400),
    "obsolete folding": (_GET + b"X: a\r\n b\r\n" + _CLOSE, 400),
    "bare line feeds": (b"GET /healthz HTTP/1.1\nHost: a\n\n", 400),
    "one bare line feed": (_GET + b"X: a\nY: b\r\n" + _CLOSE, 400),
    "bare carriage return": (_GET + b"X: a\rY: b\r\n" + _CLOSE, 400),
    "nul in a value": (_GET + b"X: a\x00b\r\n" + _CLOSE, 400),
    "nul in a name": (_GET + b"X\x00Y: b\r\n" + _CLOSE, 400),
    "control character in a value": (_GET + b"X: a\x01b\r\n" + _CLOSE, 400),
    "space before the colon": (_GET + b"Content-Length : 5\r\n" + _CLOSE + b"hello", 400),
    "header without a name": (_GET + b": b\r\n" + _CLOSE, 400),
    "header without a colon": (_GET + b"nothing\r\n" + _CLOSE, 400),
    "first header indented": (b"GET /healthz HTTP/1.1\r\n Host: a\r\n" + _CLOSE, 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n" + _CLOSE, 400),
    "two hosts": (_GET + b"Host: b\r\n" + _CLOSE, 400),
    "host with a path": (b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n" + _CLOSE, 400),
    "host with a user": (b"GET /healthz HTTP/1.1\r\nHost: a@b\r\n" + _CLOSE, 400),
    "absolute form": (b"GET http://b/healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "authority form": (b"CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n" + SECOND, 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "relative target": (b"GET healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "fragment": (b"GET /healthz#a HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "target beyond ascii": ("GET /é HTTP/1.1\r\nHost: a\r\n".encode() + _CLOSE, 400),
    "nul in the target": (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "method in small letters": (b"get /healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "unknown method": (b"SMUGGLE /healthz HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 400),
    "no request at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    "another protocol": (b"SSH-2.0-OpenSSH_9.7\r\n", 400),
    "http/0.9": (b"GET /healthz\r\n\r\n", 505),
    "http/2.0 in the line": (b"GET /healthz HTTP/2.0\r\nHost: a\r\n" + _CLOSE, 505),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http/1.2": (b"GET /healthz HTTP/1.2\r\nHost: a\r\n" + _CLOSE, 400),
    "huge target": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n" + _CLOSE, 414),
    "huge header": (_GET + b"X: " + b"a" * 5_000_000 + b"\r\n" + _CLOSE, 431),
    "many headers": (_GET + b"X: a\r\n" * 5_000 + _CLOSE, 431),
    "header a byte too large": (_GET + b"X: " + b"a" * 16_384 + b"\r\n" + _CLOSE, 431),
    "line ends without end": (b"\r\n" * 20_000, 431),
}
"""Refused by the door; the connection is closed, and nothing after it is a request."""
