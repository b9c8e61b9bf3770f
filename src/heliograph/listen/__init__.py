"""A developer's listener: it verifies signatures, shows messages, and misbehaves when told.

`listener` is the server, on raw sockets since an HTTP library would not misbehave; `zoo` names
the behaviours; `messages` and `signatures` say what a message is and who signed it. Only the
command line and the pytest plugin may import this: the server must not contain it (S14).
"""
