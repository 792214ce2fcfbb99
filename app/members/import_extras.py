"""What a row of members.csv may tell besides: the birthday, and what the owner answered when it joined."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from app.members.consent_rules import Channel, Decision, Purpose
from app.members.import_faults import Fault
from app.members.rules import needs_guardian

OPTIONAL = ("born_on", "consents")
_OLDEST = date(1900, 1, 1)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ANSWER = re.compile(
    rf"(?P<purpose>marketing|profiling):(?P<decision>given|refused):(?P<version>[1-9][0-9]{{0,8}})"
    rf":(?P<channel>{'|'.join(Channel)})(:(?P<on>{_DATE}))?"
)


class Answered(NamedTuple):
    """One answer; `on` None: on the day of delivery."""

    purpose: Purpose
    decision: Decision
    version: int
    channel: Channel
    on: date | None


class Told(NamedTuple):
    """What a row tells besides."""

    born_on: date | None = None
    answers: tuple[Answered, ...] = ()

    def needs_guardian(self, today: date) -> bool:
        """Whether the owner is under 14."""
        return self.born_on is not None and needs_guardian(self.born_on, today)


def told(cells: Sequence[str], today: date, versions: Mapping[str, int]) -> tuple[Told, list[Fault]]:
    """What the optional cells tell, and their faults.

    Args:
        cells: those of OPTIONAL, as far as the file has them.
        versions: the newest text of each purpose.
    """
    birth, answered = (*cells, "", "")[:2]
    born_on = day(birth) if birth else None
    found = [_answer(entry.strip(), today, versions) for entry in answered.split(";")] if answered else []
    answers = tuple(answer for answer in found if answer is not None)
    faults = []
    if birth and (born_on is None or not _OLDEST <= born_on <= today):
        faults.append(Fault("born_on", "born_on", birth))
    if len({answer.purpose for answer in answers}) < len(found):
        faults.append(Fault("consents", "consents", answered))
    return Told(born_on, answers), faults


def _answer(entry: str, today: date, versions: Mapping[str, int]) -> Answered | None:
    match = _ANSWER.fullmatch(entry)
    if match is None:
        return None
    purpose, version, on = Purpose(match["purpose"]), int(match["version"]), day(match["on"] or str(today))
    if version > versions[purpose] or on is None or on > today:
        return None
    return Answered(
        purpose, Decision(match["decision"]), version, Channel(match["channel"]), on if match["on"] else None
    )


def day(cell: str) -> date | None:
    """A day as imports write it, or None."""
    try:
        return date.fromisoformat(cell) if re.fullmatch(_DATE, cell) else None
    except ValueError:
        return None
