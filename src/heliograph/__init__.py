"""Heliograph publishes envelope events to listeners and keeps a complete failure log."""

__version__ = "0.1.0"
