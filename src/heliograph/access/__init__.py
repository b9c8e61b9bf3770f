"""Who may call: sign-ins, grants, passwords, guesses, quotas, the first credentials."""
