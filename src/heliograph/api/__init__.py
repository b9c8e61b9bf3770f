"""The HTTP face: one list of operations gives routes, codecs, limits and errors."""
