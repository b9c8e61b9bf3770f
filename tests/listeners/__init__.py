"""Listeners in four languages, as strict as they come: what they see of our messages.

`python -m tests.listeners` brings each reader in and lets it read a message of each format; it is a
lane of its own, for what it needs of a machine. The readers that every machine has, and xml2js, are
tried by pytest too.
"""
