"""Takes over the history that another tool has left in the database.

One module for each tool says how its tables are read and how its checksums are made; its
tables are only read, and left as they are. What is matched with what is decided by
`dbmigrate.migrations.adoption`; `adopt` finds the tool, and records.
"""
