"""`python -m dbmigrate.controller` is `dbmigrate-operator`."""

from dbmigrate.controller.main import main

if __name__ == "__main__":
    main()
