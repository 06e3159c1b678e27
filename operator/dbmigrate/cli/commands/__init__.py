"""The commands: what each may be given, and the text that explains it.

What they do is the matter of `dbmigrate.cli.invocation` and the modules beside it. In their
docstrings the escape ``b`` on a line of its own tells click to keep the lines of that
paragraph as they are.
"""
