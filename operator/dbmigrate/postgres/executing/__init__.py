"""How files run: checked, executed by their mode, committed with their rows, settled, retried."""
