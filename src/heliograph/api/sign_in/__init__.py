"""Signing in: OAuth as the SDKs do it, the consent pages, the legacy header."""
