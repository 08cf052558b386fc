"""The token table and its stages."""
