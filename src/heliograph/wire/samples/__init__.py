"""Messages made up: what happens to an envelope, its summary at each moment, and its documents."""
