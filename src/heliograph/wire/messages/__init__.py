"""The messages that listeners get, and their signatures."""
