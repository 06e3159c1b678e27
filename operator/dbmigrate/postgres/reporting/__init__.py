"""What a run tells while it works: how far it is, and who is in its way."""
