"""The server's own door: which connections come in, how long they may take, what is HTTP."""
