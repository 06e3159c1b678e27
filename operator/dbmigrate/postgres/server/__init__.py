"""Connections and sessions: how the server is reached, recognised, and spoken to.

Nothing here knows of migrations or of the history.
"""
