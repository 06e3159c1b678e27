"""The parts of a DatabaseMigration's status: one module for each subject that it speaks of.

`dbmigrate.api.databasemigration` puts them together. A field's docstring is its description in
the CRD. All of it can be rebuilt from the database.
"""
