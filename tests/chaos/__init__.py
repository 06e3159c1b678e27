"""`make chaos`: random migrations, random faults at random instants; the database is the judge."""
