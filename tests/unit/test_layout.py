"""The package lies in a folder named operator, which must never become a package itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_operator_folder_is_no_package():
    """With an __init__.py it would hide the standard library's module of that name."""
    assert (ROOT / "operator" / "dbmigrate" / "__init__.py").exists()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_import_operator_is_the_standard_librarys_in_the_repository():
    """Half of Python's own modules import it."""
    code = "import operator, sys; sys.exit(operator.itemgetter(1)([1, 0]))"
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
