"""The conformance kit: plays DocuSign at its worst against a listener, and judges it.

`checks` says what is sent and what must come of it, `judging` what came of it; both are pure.
`sending` is the shell that posts, past the guard, and `running` plays the checks in order.
Only `heliograph verify` and the pytest plugin know this room: the server does not contain it.
"""
