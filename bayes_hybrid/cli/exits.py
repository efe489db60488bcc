"""How a command ends: one clear line on stderr, and an exit code that means something."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

import typer

from bayes_hybrid.errors import BayesHybridError
from bayes_hybrid.words import on_command_line

__all__ = ["INTERRUPTED", "REFUSED", "clean_exit", "one_line"]

REFUSED: Final = 2
"""The command could not do what was asked; Click uses the same code for a wrong option."""

INTERRUPTED: Final = 130
"""128 + SIGINT, what a shell reports for a program that Ctrl-C ended."""

# These speak to developers, not to who runs a command.
_UNSHOWN: Final = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)


@contextmanager
def clean_exit() -> Iterator[None]:
    """Turn what a user can cause into a line and an exit code; a bug keeps its traceback.

    Raises:
        typer.Exit: with :data:`REFUSED` for an error that this package or the system raised on
            purpose, with :data:`INTERRUPTED` for Ctrl-C.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except KeyboardInterrupt:
        # The line that Ctrl-C stands on is not ours.
        typer.echo("\ninterrupted; no output is left half-written", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output, such as head, has seen enough; typer ends quietly.
        raise
    except (BayesHybridError, OSError) as error:
        typer.echo(f"error: {one_line(_words(error))}", err=True)
        raise typer.Exit(REFUSED) from None


def one_line(text: str) -> str:
    r"""``text`` on one line without control characters, which data and file names may hold.

    Example:
        >>> one_line("no column 'a\x1b[31m'\n  in the table")
        "no column 'a [31m' in the table"
    """
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())


def _words(error: BaseException) -> str:
    """The message, without the number that the system gave the error."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return on_command_line(str(error))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line, without the place in the source."""
    del filename, lineno, file, line
    if not issubclass(category, _UNSHOWN):
        typer.echo(f"warning: {one_line(str(message))}", err=True)
