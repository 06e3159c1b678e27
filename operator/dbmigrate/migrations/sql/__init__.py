"""How PostgreSQL and psql read a script: where statements begin and end, and what they are.

Only lexical rules live here, as the server's scanner and psql's have them
(PostgreSQL manual, section 4.1; ``scan.l`` and ``psqlscan.l``). What a statement
means is the server's business: nothing here parses SQL, rewrites it, or speaks to
a database. Other packages import the names that `dbmigrate.migrations.statements` offers.
"""
