"""The console in a real browser, and what its pages are made of."""
