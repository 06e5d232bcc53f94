"""What a person typed: a command line and standard input may hold bytes that are no text in UTF-8."""

from collections.abc import Iterable

LONGEST_LINE = 10_000


def complaint(words: Iterable[str]) -> str | None:
    """A sentence about the first word that no database or JSON could hold; None when all are text."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode(errors="backslashreplace").decode()
            return f"{shown} is not written in UTF-8; set the terminal to UTF-8, or copy it anew."
    return None
