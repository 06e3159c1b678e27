"""Rollback safety: what a rollback loses is found, kept and given back, and rollbacks are proved.

`trial` runs a rollback under a savepoint and looks at what it did (`storage`, `losses`);
`keep` copies what would be lost into the table rollback_data_log, in the rollback's own
transaction; `kept` lists and purges it, `restore` puts it back. `prove` runs migrations up,
down and up on a scratch database (`scratch`) and compares catalogs (`catalog`).
"""
