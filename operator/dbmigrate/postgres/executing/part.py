"""A stretch of a file on its way to the server: what was sent of it, and what was answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.server.session import Request


class Part:
    """The requests up to the next COPY, or to the file's end, made as they are sent."""

    def __init__(
        self,
        statements: Iterator[Statement],
        opening: tuple[Request, ...],
        closing: tuple[Request, ...],
        on_reached: Callable[[Statement], None],
        again: Callable[[Statement], tuple[Request, ...]] = lambda _: (),
    ) -> None:
        self.statements = statements
        self.on_reached = on_reached
        self.opening = opening
        self.closing = closing
        self.again = again
        """What is set again behind a statement."""
        self.waiting: deque[Statement | None] = deque()
        """Sent, but not answered yet; None for what is set again."""
        self.copy: Statement | None = None
        """The COPY that comes next."""
        self.is_open = not opening
        """The opening is answered: what waits first is what the server is at."""
        self.is_stopped = False
        self.is_held = False
        """Another file's end comes first: nothing is told yet."""

    def __iter__(self) -> Iterator[Request]:
        yield from self.opening
        for statement in self.statements:
            if self.is_stopped:
                return
            if statement.copy_data is not None:
                self.copy = statement
                return
            if statement.is_bracket:
                continue
            self.waiting.append(statement)
            if len(self.waiting) == 1:
                self._tell()
            yield Request(statement.text, at_once=True)
            for request in self.again(statement):
                self.waiting.append(None)
                yield request
        yield from self.closing

    def answered(self) -> Statement | None:
        """Whose reply has come: None for what is not the file's."""
        if not self.waiting:
            return None
        statement = self.waiting.popleft()
        self._tell()
        return statement

    def reached(self) -> Statement | None:
        """The statement that the server is at."""
        return self.waiting[0] if self.is_open and self.waiting else None

    def _tell(self) -> None:
        # The server answers to the opening together with the first statement only.
        is_quiet = self.is_stopped or self.is_held
        if self.waiting and self.waiting[0] is not None and not is_quiet:
            self.on_reached(self.waiting[0])

    def release(self) -> None:
        """What came before is over."""
        self.is_held = False
        self._tell()

    def stop(self) -> None:
        """The transaction has failed: read no more of the file."""
        self.is_stopped = True
