"""What can be wrong with a row of members.csv: where, with which value, and what would be right."""

from dataclasses import dataclass, field

from app.core.catalogue import Language, text
from app.core.tabular import Rejection, Row


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a row: a stable code, its column (none: the row as a whole), and what the code's texts name."""

    code: str
    column: str = ""
    value: str = ""
    figures: dict[str, object] = field(default_factory=dict)

    def said(self, language: Language) -> str:
        """What is wrong."""
        return text(language, f"import-fault.{self.code}", self.figures | {"value": self.value})

    def right(self, language: Language) -> str:
        """What would be right."""
        return text(language, f"import-right.{self.code}", self.figures | {"value": self.value})


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not taken, with all that is wrong with it."""

    row: Row
    faults: list[Fault]

    def rejection(self) -> Rejection:
        """As the commands report it, in English."""
        return Rejection.of(self.row, "; ".join(fault.said(Language.EN) for fault in self.faults))

    def cells(self, language: Language, width: int) -> list[str]:
        """The row to fix and send again: what is wrong, what would be right, and the cells as they came.

        Args:
            width: how many cells the others have.
        """
        wrong = "; ".join(fault.said(language) for fault in self.faults)
        right = "; ".join(fault.right(language) for fault in self.faults)
        lacking = 0 if self.row.fault else width - len(self.row.cells)
        return [wrong, right, *self.row.cells, *([""] * lacking)]
