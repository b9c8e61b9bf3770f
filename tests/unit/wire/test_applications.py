"""Which redirect URIs are registered: those that are URIs, and mean nothing in a policy."""

from __future__ import annotations

import pytest

from heliograph.errors import InvalidBody
from heliograph.wire.applications import Application, new_application


@pytest.mark.parametrize(
    "uri",
    [
        *("https://app.example/back", "https://app.example", "HTTPS://App.Example?x", "https://a/"),
        *(
            "https://a_b.example:8443/x?y=1&z=(a)",
            "https://a.example/%2A%2C",
            "https://[2001:db8::1]/",
        ),
        *("https://xn--bcher-kva.example/back", "https://localhost/back"),
        *("http://127.0.0.1:9/back", "http://[::1]:80/back", "http://localhost"),
        *("com.example.app:/back", "com.example.app:back", "com.example.app:///back"),
    ],
)
def test_s9_a_plain_redirect_uri_is_registered_letter_by_letter(uri: str) -> None:
    made = new_application(Application(name="a", redirect_uris=[uri]))
    assert made.redirect_uris == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        # Marks of a Content-Security-Policy.
        *("https://*/x", "https://*.example/x", "https://a.example:*/x", "https://a.example/x*"),
        *("https://a,b.example/", "https://a.example/a,b", "https://a.example/?a,b", "com.a:/x,y"),
        *("https://a.example;script-src/", "https://a.example/;x", "https://a.example/'self'"),
        *("https://a.example'/", "com.example.*:/x", "com.example.app:/*", 'https://a.example/"x'),
        # No URIs.
        *("", "https://a.example/%zz", "https://a.example/%", "https://a.example/[x]", "/back"),
        *(
            "https://a.example/#x",
            "https://a.example/ x",
            " https://a.example",
            "https://a.example\n",
        ),
        *(
            "\thttps://a.example/",
            "https://\u00e9.example/",
            "https://a.example\\@b",
            "https://a|b/",
        ),
        # No hosts.
        *("https:///x", "https:/x", "https:x", "https://a..example/", "https://.example/"),
        *("https://-a.example/", "https://a%2cb.example/", "https://[::1/", "https://[zz]/"),
        *("https://xn--/", "https://xn--0.example/", "https://a.xn--a.example/"),
        *("https://a.example:99999/", "https://a.example:/x", "https://a.example:8a/"),
        *("https://u@a.example/", "https://u:p@a.example/", "https://a.example:1:2/"),
        # Not where a code may go.
        *("http://a.example/", "http://127.0.0.1.example/", "http://localhost.example/"),
        *("javascript:alert(1)", "data:x", "com.example.app://back", "com.example.app:////x"),
    ],
)
def test_s9_any_other_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InvalidBody, match="Number 1 of redirectUris") as refused:
        new_application(Application(name="a", redirect_uris=[uri]))
    assert len(uri) < 3 or uri not in refused.value.message
