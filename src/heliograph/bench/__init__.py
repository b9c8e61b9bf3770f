"""What Heliograph does under load on this machine: `heliograph bench`.

A server, a publisher and a sink run as processes of their own; what decides what is told
(`report.py`, and `figures` in each module of `scenarios/`) is pure. Nothing imports this room but
its command.
"""
