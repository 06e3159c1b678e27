"""All that speaks SQL: connection, lock, history, execution, integrity.

The engine's face is `dbmigrate.postgres.run.run`. Nothing here knows Kubernetes, the
command line or an output format; psycopg is imported nowhere else.
"""
