"""Every byte that leaves: posts to listeners, requests for tokens, alerts."""
