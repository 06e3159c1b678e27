"""`python -m tests.cluster.images [dbmigrate] [postgres]` builds what has changed."""

import sys

from .build import main

if __name__ == "__main__":
    sys.exit(main())
