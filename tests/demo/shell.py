"""Runs commands as a user would type them, and prints each before it runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BOLD, _DIM, _GREEN, _RESET = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("",) * 4
)


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n{_BOLD}━━ {text}{_RESET}", flush=True)


def say(text: str) -> None:
    """Print an explanation."""
    print(f"{_DIM}{text}{_RESET}", flush=True)


@dataclass(frozen=True)
class Shell:
    """Commands with the cluster's kubeconfig, in the folder that holds the user's repository."""

    kubeconfig: Path
    programs: Path
    """Folder with kubectl and helm; put first on PATH."""
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of each command."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def show(self, command: str, *, check: bool = True) -> None:
        """Print a command, run it, and let its output through.

        Raises:
            subprocess.CalledProcessError: it failed, and `check` says that it must not.
        """
        print(f"\n{_GREEN}${_RESET} {command}", flush=True)
        subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, check=check)

    def ask(self, *words: str) -> str:
        """Run a command quietly and return what it prints, stripped; empty when it fails."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def feed(self, text: str, *words: str) -> None:
        """Run a command with text as its input, and print only the command.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        print(f"\n{_GREEN}${_RESET} {shlex.join(words)}", flush=True)
        subprocess.run(
            words, cwd=self.folder, env=self.environment, check=True, input=text, text=True
        )
