"""PostgreSQL schema migrations that a team can trust in production."""

__version__ = "0.1.0"
