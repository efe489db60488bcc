"""The exceptions this package raises on purpose.

Each of them is also the built-in exception that a caller would expect (``ValueError``,
``TypeError``, ...), so that code which does not know this package still catches it.
"""

__all__ = [
    "BayesHybridError",
    "DataError",
    "DataTypeError",
    "FileFormatError",
    "FitError",
    "OptionError",
    "OutputExistsError",
]


class BayesHybridError(Exception):
    """The base of every exception that this package raises on purpose.

    Example:
        >>> try:
        ...     raise OptionError("prob must lie strictly between 0 and 1; got 90")
        ... except BayesHybridError as error:
        ...     print(error)
        prob must lie strictly between 0 and 1; got 90
    """


class DataError(BayesHybridError, ValueError):
    """A table or array that cannot be used: unreadable, empty, ragged, with holes."""


class DataTypeError(BayesHybridError, TypeError):
    """Text, dates or other non-numbers where numbers belong."""


class OptionError(BayesHybridError, ValueError):
    """A setting with a value it cannot take."""


class FitError(BayesHybridError, RuntimeError):
    """A fit that gave no usable posterior."""


class FileFormatError(BayesHybridError, ValueError):
    """A saved fit that is truncated, changed, foreign, or of a newer format."""


class OutputExistsError(BayesHybridError, FileExistsError):
    """An output that stands already, and overwriting was not asked for."""
