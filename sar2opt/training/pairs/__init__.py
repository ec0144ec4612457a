"""Sets of pairs: read from scenes and chips, cleaned, registered, split, written, read back."""
