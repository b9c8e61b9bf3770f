"""Pages of `heliograph serve`: what failed, why, and how to put it right.

They stand on the public API alone: a page makes the calls of the OpenAPI document, as whoever is
signed in (`calls.py`), and shows what they answer.
"""
