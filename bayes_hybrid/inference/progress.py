"""How long work reports on itself."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, the steps done and the steps there are at most."""


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
    del stage, done, total
