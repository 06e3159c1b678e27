"""Integrity checks: whether the data keep the rules; read-only, in one snapshot."""
