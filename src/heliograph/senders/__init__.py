"""Processes beside the server's that post messages: one process is one core.

`handing` is the server's side: a `Sender` that hands posts over once there are many. `process` is
the other side, and `frames` what goes between them, over a pair of sockets that nobody else has.
What a delivery is and what becomes of it stays with the dispatcher (docs/decisions/0037).
"""
