"""Commands that record without running anything: baseline, repair, resolve, pin."""
