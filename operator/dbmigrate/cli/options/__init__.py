"""What the command line takes: kinds of values, the options, and how help shows them."""
