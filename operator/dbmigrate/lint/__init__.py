"""Finds what is valid SQL and still does harm: long locks, rewrites, lost data, broken clients.

The rules are squawk's (https://squawkhq.com); which of them count here, and how much, is
ours. Pure but for `dbmigrate.lint.squawk`, which runs the program. Nothing here speaks to
a database.
"""
