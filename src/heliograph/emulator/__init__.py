"""`heliograph emulator`: the part of DocuSign's envelopes API that its quickstarts call.

It stands for DocuSign itself, beside the server and on its accounts and tokens: what is asked here
is kept in a file of its own, and what happens to envelopes is published as any publisher would.
Only its own command knows this room: `heliograph serve` does not contain it (S14).
"""
