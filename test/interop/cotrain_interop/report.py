"""What was found: one line per mismatch, and counts of what was checked."""

from collections import Counter
from contextlib import contextmanager

from .base import Mismatch


class Report:
    def __init__(self, first_only: bool = False):
        self.lines: list[str] = []
        self.checked: Counter[str] = Counter()
        self.first_only = first_only

    @contextmanager
    def about(self, where: str):
        """What fails inside is one line; the verification goes on after it."""
        try:
            yield
        except Mismatch as mismatch:
            if self.first_only:
                raise Mismatch(f"{where}: {mismatch}") from None
            self.lines.append(f"{where}: {mismatch}")
        # What is not of the form that was expected must not end the others' checks.
        except (KeyError, IndexError, ValueError, TypeError, OverflowError, AttributeError) as error:
            if self.first_only:
                raise Mismatch(f"{where}: malformed ({type(error).__name__}: {error})") from None
            self.lines.append(f"{where}: malformed ({type(error).__name__}: {error})")

    def count(self, what: str, by: int = 1) -> None:
        self.checked[what] += by
