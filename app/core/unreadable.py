"""Why a file, or a row of one, cannot be read, in the languages of the catalogue."""

from app.core.catalogue import Phrase


class Unreadable(Exception):
    """A file as a whole cannot be read; `reason` says why and what would be right (catalogue, `unreadable`)."""

    def __init__(self, code: str, **figures: object) -> None:
        self.reason = Phrase(f"unreadable.{code}", **figures)
        super().__init__(self.reason)


def row_fault(code: str, **figures: object) -> Phrase:
    """What spoils one row (catalogue, `unreadable-row`)."""
    return Phrase(f"unreadable-row.{code}", **figures)
