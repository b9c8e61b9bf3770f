"""The contract layer: a list of operations gives routes, codecs, limits, errors and documents."""
