"""The only places that know wire spellings: bytes and texts to model values and back."""
