"""All pending files in one transaction, with all their history rows: everything or nothing.

Asked for by ``--transaction all``. Each file still starts from a clean session; what the files
before it have made is there, and nobody else sees it before the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbmigrate.errors import MigrationFailedError, RefusedError
from dbmigrate.postgres.executing.clearing import ALL_CHECKED, CLEAR, OUR_PATH
from dbmigrate.postgres.executing.committing import Committed, Ending, commit
from dbmigrate.postgres.executing.execution import Execution
from dbmigrate.postgres.server.session import Request


class Following(Execution):
    """A file that is not the first in its transaction."""

    def _begin(self, behind: str = "") -> tuple[Request, ...]:
        del behind  # it is no transaction of its own
        return CLEAR


class Together:
    """Runs all files; made anew for each attempt.

    Args:
        files: what runs each file, the first of which begins the transaction.
        begun: is told the index of each file as it begins.
    """

    def __init__(self, files: Sequence[Execution], begun: Callable[[int], None]) -> None:
        self.files = files
        self.begun = begun
        self.current = files[0]
        """The file that runs, or was the last to run."""

    @property
    def transaction(self) -> str:
        """Its number."""
        return self.files[0].transaction

    def run(self) -> tuple[Committed, ...]:
        """Run the files and commit them.

        Raises:
            MigrationFailedError, RefusedError, CommitInDoubtError, Interrupted: as
                `Execution.run`; nothing of any file is left.
        """
        try:
            return self._run()
        except (MigrationFailedError, RefusedError):
            self.current.undo()
            raise

    def _run(self) -> tuple[Committed, ...]:
        took: list[int] = []
        for index, each in enumerate(self.files):
            self.begun(index)
            self.current = each
            each.start()
            took.append(each.milliseconds)
        first, last = self.files[0], self.files[-1]
        last.task.watch.on_end()
        ending = Ending(
            last.script.file,
            opening=(ALL_CHECKED, OUR_PATH),
            proof=first.proof(),
            rows=tuple(each.task.write(ms) for each, ms in zip(self.files, took, strict=True)),
        )
        return tuple(map(Committed, took, commit(last.session, ending)))
