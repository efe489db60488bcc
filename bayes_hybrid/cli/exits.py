"""What a command says, and how it ends: one clear line on stderr, and a telling exit code.

A command does its work whether or not its words can be printed.
"""

import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Final, TextIO

import typer

from bayes_hybrid.errors import BayesHybridError
from bayes_hybrid.words import on_command_line

__all__ = [
    "INTERRUPTED",
    "REFUSED",
    "TERMINATED",
    "UNPRINTED",
    "Terminated",
    "clean_exit",
    "complain",
    "emit",
    "one_line",
    "open_streams",
    "printable",
    "silence",
    "stop_as_ctrl_c",
    "stopped",
]

REFUSED: Final = 2
"""The command could not do what was asked; Click uses the same code for a wrong option."""

UNPRINTED: Final = 3
"""The command has done its work, but standard output took no words, as on a full disk."""

INTERRUPTED: Final = 130
"""128 + SIGINT, what a shell reports for a program that Ctrl-C ended."""

TERMINATED: Final = 143
"""128 + SIGTERM, what a batch system or a container sends before it kills."""

# What standard output would not take, of the command that runs.
_unprinted: ContextVar[list[OSError] | None] = ContextVar("_unprinted", default=None)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


# These speak to developers, not to who runs a command.
_UNSHOWN: Final = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)


@contextmanager
def clean_exit() -> Iterator[None]:
    """Turn what a user can cause into a line and an exit code; a bug keeps its traceback.

    Raises:
        typer.Exit: with :data:`REFUSED` for an error that this package or the system raised on
            purpose, with :data:`INTERRUPTED` for Ctrl-C, with :data:`TERMINATED` for SIGTERM, with
            :data:`UNPRINTED` where the work is done and standard output took no words.
    """
    unprinted: list[OSError] = []
    token = _unprinted.set(unprinted)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except KeyboardInterrupt as stop:
        # The line that Ctrl-C stands on is not ours.
        terminated = isinstance(stop, Terminated)
        word, before = ("terminated", "") if terminated else ("interrupted", "\n")
        complain(f"{word}; no output is left half-written", before=before)
        raise typer.Exit(stopped(stop)) from None
    except (BayesHybridError, OSError) as error:
        complain(f"error: {_words(error)}")
        raise typer.Exit(REFUSED) from None
    finally:
        _unprinted.reset(token)
    if unprinted:
        complain(
            "error: the work is done, every file is written, but standard output took no words: "
            f"{unprinted[0].strerror}"
        )
        raise typer.Exit(UNPRINTED)


def emit(text: str) -> None:
    """Write to standard output; where that fails, the command goes on without further words.

    A closed pipe is no failure: its reader, such as head, has seen enough.
    """
    _write(sys.stdout, text, lambda error: _note(error))


def complain(text: str, *, before: str = "") -> None:
    """Write a line to standard error, without control characters; there is no place beyond."""
    _write(sys.stderr, f"{before}{one_line(text)}\n", lambda _: None)


def _note(error: OSError) -> None:
    unprinted = _unprinted.get()
    if error.errno != errno.EPIPE and unprinted is not None:
        unprinted.append(error)


def _write(stream: TextIO, text: str, failed: Callable[[OSError], None]) -> None:
    """Write and flush; characters that the stream cannot encode are replaced."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        failed(error)
        silence(stream)


def open_streams() -> None:
    """Lead standard streams that the caller has closed nowhere.

    Else they are ``None``, and the next file to be opened would take their number.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def silence(stream: TextIO) -> None:
    """Lead a stream nowhere: what is left in its buffer would fail again when Python ends."""
    try:
        number = stream.fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def stop_as_ctrl_c() -> None:
    """Let SIGTERM clean up as Ctrl-C does, where the process has no other plan for it."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def stopped(stop: KeyboardInterrupt) -> int:
    """The exit code of a command that was stopped."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


def one_line(text: str) -> str:
    r"""``text`` on one line without control characters, which data and file names may hold.

    Example:
        >>> one_line("no column 'a\x1b[31m'\n  in the table")
        "no column 'a [31m' in the table"
    """
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    r"""``text`` without what a terminal would obey; what is no character becomes a question mark.

    Example:
        >>> printable("a\x1b[31m\nb\udcff")
        'a [31m b\ufffd'
    """
    return "".join(
        char if char.isprintable() else "\ufffd" if "\ud800" <= char <= "\udfff" else " "
        for char in text
    )


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
        complain(f"warning: {message}")
