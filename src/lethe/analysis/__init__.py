"""Statistics of tokens."""
