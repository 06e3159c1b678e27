"""Files that were begun and not finished, and what was found out about them."""

from dbmigrate.migrations.amend import Amend

OWN = "-- dbmigrate: transaction=own\n"


def resolve(database, decision):
    """Say what was found out."""
    return database.run("resolve", amend=Amend(decision=decision))
