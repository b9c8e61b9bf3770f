"""The faults. Each module adds its functions to the catalogue when it is imported."""
