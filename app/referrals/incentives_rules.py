"""Which of a payee's events of a month an incentive pays: pure, no I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from app.core.clock import month_of
from app.referrals.incentives_models import LineKind
from app.referrals.incentives_schemas import Pace


class Line(NamedTuple):
    """A line to be; as `IncentiveLine`."""

    kind: LineKind
    payee: str
    dealer_code: str
    document: str
    happened_on: date
    member_id: UUID
    rule_id: UUID
    fen: int
    inputs: dict[str, Any]
    fault: str | None = None

    @property
    def key(self) -> tuple[str, UUID, str]:
        """What a line is about."""
        return self.document, self.rule_id, self.payee

    @property
    def run(self) -> tuple[UUID, str, date]:
        """What it is counted with: the payee's lines of a month by the same rule."""
        return self.rule_id, self.payee, month_of(self.happened_on)


class Joining(NamedTuple):
    """Individual cars that a payee delivered in a month, and those of them that had joined by its end."""

    delivered: int
    joined: int


NOBODY = Joining(0, 0)


def paced(
    lines: Sequence[Line], paces: Mapping[UUID, Pace | None], joining: Mapping[tuple[str, date], Joining]
) -> Iterator[Line]:
    """The lines that are paid, with what they were counted by among their inputs.

    Args:
        lines: all that rules give for whole months, in the order in which they are counted.
        paces: by rule.
        joining: by payee and month's first day; as far as some pace asks for it.
    """
    counted = [line for line in lines if line.kind is not LineKind.FAILED]
    in_month, so_far = Counter(line.run for line in counted), Counter[tuple[UUID, str, date]]()
    for line in lines:
        pace = paces[line.rule_id]
        if pace is None or line.kind is LineKind.FAILED:
            yield line
            continue
        so_far[line.run] += 1
        nth, all_of_it = so_far[line.run], in_month[line.run]
        rate = joining.get(line.run[1:], NOBODY)
        if _pays(pace, nth, all_of_it, rate):
            yield line._replace(inputs=line.inputs | _told(pace, nth, all_of_it, rate))


def _pays(pace: Pace, nth: int, in_month: int, rate: Joining) -> bool:
    is_of_these = pace.from_nth <= nth and (pace.to_nth is None or nth <= pace.to_nth)
    is_enough = in_month >= (pace.least_in_month or 0)
    percent = pace.least_joining_percent
    have_joined = percent is None or (rate.delivered > 0 and rate.joined * 100 >= percent * rate.delivered)
    return is_of_these and is_enough and have_joined


def _told(pace: Pace, nth: int, in_month: int, rate: Joining) -> dict[str, int]:
    told = {"pace.nth": nth, "pace.in_month": in_month}
    return told if pace.least_joining_percent is None else told | {f"pace.{k}": v for k, v in rate._asdict().items()}
