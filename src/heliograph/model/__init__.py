"""The words of Heliograph: frozen values, closed enums and the table of legal state moves.

Nothing here knows a wire spelling, a database, a clock or the network. Times are aware
`datetime` values in UTC; durations are seconds as `float`; sizes are bytes.
"""
