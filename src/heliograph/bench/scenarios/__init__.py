"""A module for each of `names.SCENARIOS`: `measure` acts, `figures` decides what to tell."""
