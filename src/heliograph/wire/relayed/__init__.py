"""Messages of a real Connect configuration: read into events, whichever format they have."""
