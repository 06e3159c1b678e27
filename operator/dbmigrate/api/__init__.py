"""The names that cross a boundary: the resource's fields and the runner's report.

`checks` and `databasemigration` are pydantic models, the source of ``crds/``; `report/`
is what a runner prints and an operator reads, in plain dataclasses so that the
runner starts without pydantic. Nothing here connects to anything.
"""
