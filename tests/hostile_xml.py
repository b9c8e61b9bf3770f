"""XML bodies that no caller should send, and what must become of each (S11)."""

from __future__ import annotations

from heliograph.wire.codec import MOST_ATTRIBUTES, MOST_DEPTH, MOST_NODES
from heliograph.wire.rest import ConnectCustomConfiguration


def wrapped(inside: str | bytes, before: str | bytes = b"") -> bytes:
    """A configuration around `inside`; it takes the place of a listener's own XML."""
    start, end = b"<connectCustomConfiguration>", b"</connectCustomConfiguration>"
    text = [part.encode() if isinstance(part, str) else part for part in (before, inside)]
    return text[0] + start + text[1] + end


def laughs() -> bytes:
    entities = '<!ENTITY a0 "ha">'
    entities += "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
    return wrapped("<name>&a9;</name>", f"<!DOCTYPE x [{entities}]>")


def attributes(count: int) -> str:
    return " ".join(f"a{number}='x'" for number in range(count))


UTF7 = '<?xml version="1.0" encoding="UTF-7"?>'
XI = 'xmlns:xi="http://www.w3.org/2001/XInclude"'

REFUSED: dict[str, bytes] = {
    "an empty DOCTYPE": wrapped("", "<!DOCTYPE connectCustomConfiguration>"),
    "an internal DTD": wrapped("<name>a</name>", '<!DOCTYPE x [<!ENTITY a "b">]>'),
    "an external DTD": wrapped("", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'),
    "a public DTD": wrapped("", '<!DOCTYPE x PUBLIC "-//x" "ftp://127.0.0.1:9/x.dtd">'),
    "billion laughs": laughs(),
    "billion laughs in an attribute": wrapped(
        '<name a="&a9;">x</name>', laughs().partition(b"<connect")[0]
    ),
    "quadratic blow-up": wrapped(
        b"<name>" + b"&a;" * 50_000 + b"</name>",
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]>',
    ),
    "an external entity": wrapped(
        "<name>&x;</name>", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    ),
    "an external entity of the network": wrapped(
        "<name>&x;</name>", '<!DOCTYPE x [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]>'
    ),
    "an external entity by FTP": wrapped(
        "<name>&x;</name>", '<!DOCTYPE x [<!ENTITY x SYSTEM "ftp://127.0.0.1:9/x">]>'
    ),
    "an unparsed entity": wrapped(
        "",
        '<!DOCTYPE x [<!NOTATION n SYSTEM "x"><!ENTITY x SYSTEM "http://127.0.0.1:9/" NDATA n>]>',
    ),
    "a parameter entity": wrapped("", """<!DOCTYPE x [<!ENTITY % p "<!ENTITY a 'b'>"> %p;]>"""),
    "an external parameter entity": wrapped(
        "", '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>'
    ),
    "default attributes from a DTD": wrapped("", "<!DOCTYPE x [<!ATTLIST name a CDATA 'x'>]>"),
    "an unknown entity": wrapped("<name>&x;</name>"),
    "UTF-7": wrapped("<name>+ADw-</name>", UTF7),
    "UTF-7 throughout": b"+ADw-?xml version='1.0' encoding='UTF-7'?+AD4-+ADw-a/+AD4-",
    "ISO-8859-1": wrapped(b"<name>\xe9</name>", '<?xml version="1.0" encoding="ISO-8859-1"?>'),
    "UTF-32": wrapped("").decode().encode("utf-32"),
    "EBCDIC": wrapped("", '<?xml version="1.0" encoding="cp037"?>').decode().encode("cp037"),
    "UTF-8 that says UTF-16": wrapped("", '<?xml version="1.0" encoding="UTF-16"?>'),
    "UTF-16 without a mark": wrapped("").decode().encode("utf-16-le"),
    "bytes that are not UTF-8": wrapped(b"<name>\xff\xfe</name>"),
    "an overlong form": wrapped(b"<name>\xc0\xbc</name>"),
    "one element too deep": wrapped("<a>" * MOST_DEPTH + "</a>" * MOST_DEPTH),
    "300 elements deep": wrapped("<a>" * 300 + "</a>" * 300),
    "100,000 elements deep": wrapped("<a>" * 100_000 + "</a>" * 100_000),
    "never closed": b"<a>" * 100_000,
    "one element too many": wrapped("<a/>" * MOST_NODES),
    "as many elements as fit the body limit": wrapped("<a/>" * 250_000),
    "1,000,000 siblings": wrapped("<a/>" * 1_000_000),
    "one attribute too many": wrapped(f"<a {attributes(MOST_ATTRIBUTES + 1)}/>"),
    "60,000 attributes": wrapped(f"<a {attributes(60_000)}/>"),
    "an attribute twice": wrapped('<name a="1" a="2">x</name>'),
    "an attribute twice by two prefixes": wrapped(
        '<name xmlns:a="u" xmlns:b="u" a:x="1" b:x="2">x</name>'
    ),
    "a huge attribute": wrapped(b'<a a="' + b"x" * (10 << 20) + b'"/>'),
    "a huge name": wrapped(b"<" + b"a" * (1 << 20) + b"/>"),
    "a NUL": wrapped(b"<name>a\0b</name>"),
    "a NUL by reference": wrapped("<name>&#0;</name>"),
    "a control character": wrapped("<name>&#x1b;</name>"),
    "a control character in XML 1.1": wrapped("<name>&#1;</name>", '<?xml version="1.1"?>'),
    "a surrogate by reference": wrapped("<name>&#xD800;</name>"),
    "no character": wrapped("<name>&#xFFFE;</name>"),
    "nothing": b"",
    "white space": b" \n",
    "JSON": b'{"name":"a"}',
    "text after the root": wrapped("") + b"x",
    "two roots": wrapped("") * 2,
    "a prefix that is not bound": wrapped("<x:name>a</x:name>"),
    "CDATA in CDATA": wrapped("<name><![CDATA[a<![CDATA[b]]>]]></name>"),
    "XInclude": (
        f"<connectCustomConfiguration {XI}><name><xi:include href='file:///etc/hostname' "
        "parse='text'/></name></connectCustomConfiguration>"
    ).encode(),
}

UTF16 = '<?xml version="1.0" encoding="UTF-16"?>'
XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
NAMED = ConnectCustomConfiguration(name="ab")

HARMLESS: dict[str, tuple[bytes, ConnectCustomConfiguration]] = {
    "a comment that splits a value": (wrapped("<name>a<!-- x -->b</name>"), NAMED),
    "an instruction that splits a value": (wrapped("<name>a<?php x?>b</name>"), NAMED),
    "CDATA that splits a value": (wrapped("<name>a<![CDATA[b]]></name>"), NAMED),
    "CDATA that looks like an element": (
        wrapped("<name><![CDATA[<b>&lt;</b>]]></name>"),
        ConnectCustomConfiguration(name="<b>&lt;</b>"),
    ),
    "XML 1.1 with one of its line ends": (
        wrapped("<name>a\u0085b</name>", '<?xml version="1.1"?>'),
        ConnectCustomConfiguration(name="a\u0085b"),
    ),
    "an XSLT stylesheet": (
        wrapped(
            "<name>ab</name>", '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:9/x.xsl"?>'
        ),
        NAMED,
    ),
    "namespaces declared anew by 9,000 elements": (
        wrapped(
            "".join(f'<a xmlns="u{n}" xmlns:p="v{n}" p:x=""/>' for n in range(9_000))
            + "<name>ab</name>"
        ),
        NAMED,
    ),
    "a prefix declared anew at each depth": (
        wrapped(
            "".join(f'<p:a xmlns:p="u{n}">' for n in range(60)) + "</p:a>" * 60 + "<name>ab</name>"
        ),
        NAMED,
    ),
    "a stylesheet": (wrapped("<name>ab</name>", '<?xml-stylesheet href="file:///x"?>'), NAMED),
    "100,000 instructions": (wrapped("<?a b?>" * 100_000 + "<name>ab</name>"), NAMED),
    "100,000 comments in a value": (
        wrapped("<name>" + "a<!---->" * 100_000 + "</name>"),
        ConnectCustomConfiguration(name="a" * 100_000),
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + wrapped("<name>ab</name>"), NAMED),
    "UTF-16": (wrapped("<name>ab</name>", UTF16).decode().encode("utf-16"), NAMED),
    "UTF-16 that says UTF-8": (wrapped("<name>ab</name>").decode().encode("utf-16"), NAMED),
    "the deepest that is taken": (
        wrapped("<a>" * (MOST_DEPTH - 1) + "</a>" * (MOST_DEPTH - 1) + "<name>ab</name>"),
        NAMED,
    ),
    "the most elements": (wrapped("<name>ab</name>" + "<a/>" * (MOST_NODES - 2)), NAMED),
    "the most attributes": (
        wrapped(f"<name {attributes(MOST_ATTRIBUTES)}>ab</name>"),
        NAMED,
    ),
    "40,000 namespaces": (
        wrapped(
            "<a "
            + " ".join(f"xmlns:a{number}='u{number}'" for number in range(40_000))
            + "/><name>ab</name>"
        ),
        NAMED,
    ),
    "xsi:nil": (
        f'<connectCustomConfiguration {XSI}><name i:nil="true"/><events i:nil="1"/>'
        '<userName i:nil="false">u</userName></connectCustomConfiguration>'.encode(),
        ConnectCustomConfiguration(user_name="u"),
    ),
    "xsi:type": (
        f'<connectCustomConfiguration {XSI} i:type="evil"><name i:type="int">ab</name>'
        "</connectCustomConfiguration>".encode(),
        NAMED,
    ),
    "an element twice": (wrapped("<name>a</name><name>ab</name>"), NAMED),
    "XInclude beside the fields": (
        f"<connectCustomConfiguration {XI}><xi:include href='file:///etc/hostname'/>"
        "<name>ab</name></connectCustomConfiguration>".encode(),
        NAMED,
    ),
}
