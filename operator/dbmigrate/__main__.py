"""``python -m dbmigrate``."""

from dbmigrate.cli.main import main

main()
