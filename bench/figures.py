"""The figures: each a rate of every round beside TPC-B's of the same round, with the mark it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from rich.table import Table

MEMORY_MARK_MIB = 300
"""The service stays below this under load."""


class BenchError(Exception):
    """A figure could not be taken honestly; the message says why."""


class Path(StrEnum):
    """What is measured, by its short name."""

    TPC_B = "tpc_b"
    EARN = "earn"
    REDEEM = "redeem"
    HTTP_EARN = "http_earn"
    HTTP_REDEEM = "http_redeem"
    HTTP_REDEEM_CODE = "http_redeem_code"
    IMPORT = "import"
    IMPORT_COMMAND = "import_command"


TITLES = {
    Path.TPC_B: "the limit: TPC-B",
    Path.EARN: "earn, function",
    Path.REDEEM: "redeem, function",
    Path.HTTP_EARN: "earn, HTTP",
    Path.HTTP_REDEEM_CODE: "redeem, HTTP, code",
    Path.HTTP_REDEEM: "redeem, HTTP, client",
    Path.IMPORT: "import orders, rows",
    Path.IMPORT_COMMAND: "the whole command",
}
MARKS = {
    Path.EARN: 1.0,
    Path.REDEEM: 0.7,
    Path.HTTP_EARN: 0.35,
    Path.HTTP_REDEEM_CODE: 0.2,
    Path.HTTP_REDEEM: 0.2,
    Path.IMPORT: 2.7,
}
"""The ratio to TPC-B that each path has to reach."""

Round = dict[Path, float]
"""One round: each path's rate per second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def document(self, digits: int) -> dict[str, float]:
        """Median and range as JSON."""
        return {
            "median": round(self.median, digits),
            "min": round(self.least, digits),
            "max": round(self.most, digits),
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One path over all rounds."""

    path: Path
    per_second: Spread
    ratio: Spread
    """To TPC-B, each round's to its own."""

    @property
    def mark(self) -> float | None:
        """The ratio to be reached, if there is one."""
        return MARKS.get(self.path)

    @property
    def passes(self) -> bool:
        """Whether the median reaches the mark."""
        return self.mark is None or self.ratio.median >= self.mark

    def document(self) -> dict[str, Any]:
        """The figure as JSON."""
        return {
            "name": self.path.value, "title": TITLES[self.path], "per_second": self.per_second.document(0),
            "ratio": self.ratio.document(3), "mark": self.mark, "passes": self.passes,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run."""

    rounds: Sequence[Round]
    seconds: int
    """How long each path was measured in each round."""
    memory_mib: float
    """The service's largest resident size under load."""
    server_version: str

    @property
    def figures(self) -> list[Figure]:
        """One figure a path, in the order of the table."""
        return [self._figure(path) for path in TITLES]

    @property
    def memory_passes(self) -> bool:
        """Whether the service kept below its mark."""
        return self.memory_mib < MEMORY_MARK_MIB

    @property
    def passes(self) -> bool:
        """Whether every mark is reached."""
        return self.memory_passes and all(figure.passes for figure in self.figures)

    def _figure(self, path: Path) -> Figure:
        rates = [rates[path] for rates in self.rounds]
        ratios = [rates[path] / rates[Path.TPC_B] for rates in self.rounds]
        return Figure(path, Spread.of(rates), Spread.of(ratios))

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "rounds": len(self.rounds),
            "seconds": self.seconds,
            "server_version": self.server_version,
            "figures": [figure.document() for figure in self.figures],
            "memory_mib": {
                "most": round(self.memory_mib, 1),
                "mark": MEMORY_MARK_MIB,
                "passes": self.memory_passes,
            },
            "passes": self.passes,
        }

    def table(self) -> Table:
        """The report for a terminal of 80 columns."""
        table = Table(
            title=f"{len(self.rounds)} rounds of {self.seconds} s, PostgreSQL {self.server_version}",
            caption="medians; TPC-B is the same round's on the same server",
        )
        for name in ("", "per second", "× TPC-B", "least–most", "mark", "passes"):
            table.add_column(name, justify="right" if name else "left")
        for figure in self.figures:
            rate, ratio, mark = figure.per_second, figure.ratio, figure.mark
            table.add_row(
                TITLES[figure.path],
                f"{rate.median:,.0f}",
                f"{ratio.median:.2f}",
                f"{ratio.least:.2f}–{ratio.most:.2f}",
                f"≥ {mark:.2f}" if mark is not None else "",
                _word(figure.passes) if mark is not None else "",
            )
        memory = f"{self.memory_mib:.0f} MiB"
        table.add_row("memory under load", memory, "", "", f"< {MEMORY_MARK_MIB} MiB", _word(self.memory_passes))
        return table


def _word(passes: bool) -> str:
    return "[green]yes[/]" if passes else "[red]no[/]"
