"""Values that are computed once, without a lock."""

import functools
from typing import TYPE_CHECKING, Any

__all__ = ["cached_property"]

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property(functools.cached_property):
        """``functools.cached_property`` as it is from Python 3.12 on.

        Before, all objects of a class share a lock while one of them computes.  Two threads that
        also take turns at the process's state could wait for each other, and a forked child for a
        thread that it does not have.  Two threads may compute the same value here; both are right.

        Example:
            >>> class Row:
            ...     @cached_property
            ...     def total(self):
            ...         return 3
            >>> row = Row()
            >>> row.total, vars(row)
            (3, {'total': 3})
        """

        def __get__(self, instance: Any, owner: Any = None) -> Any:  # noqa: ANN401
            """The value, computed once and kept among the object's fields."""
            if instance is None:
                return self
            values = vars(instance)
            if self.attrname not in values:
                values[self.attrname] = self.func(instance)
            return values[self.attrname]
