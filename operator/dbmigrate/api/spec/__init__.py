"""The parts of a DatabaseMigration's spec: one module for each field that has fields of its own.

`dbmigrate.api.databasemigration` puts them together. A field's docstring is its description in
the CRD.
"""
