"""Seats and the waiting list, offers' deadlines, and answers to an event's questions: pure, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.clock import CHINA
from app.core.problems import FieldError
from app.events.rules import EventStatus, QuestionKind, Queue


class RegistrationStatus(StrEnum):
    """Where a registration stands; a party that is seated or has an offer takes its seats."""

    REGISTERED = "registered"
    WAITING = "waiting"
    OFFERED = "offered"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


LIVE = frozenset({RegistrationStatus.REGISTERED, RegistrationStatus.WAITING, RegistrationStatus.OFFERED})
"""A member has at most one of these for an event."""

TAKES_SEATS = frozenset({RegistrationStatus.REGISTERED, RegistrationStatus.OFFERED})

FOR_MEMBERS = frozenset({EventStatus.PUBLISHED, EventStatus.REGISTRATION})
"""In these a member registers, between the event's times: a registration opens at its second, the status follows."""

AT_THE_DOOR = frozenset({EventStatus.REGISTRATION, EventStatus.CLOSED, EventStatus.HELD})
"""In these staff register, and check in."""

FILLING = frozenset({EventStatus.PUBLISHED, EventStatus.REGISTRATION, EventStatus.CLOSED})
"""In these, until it begins, free seats are offered to those who wait."""


class DecisionKind(StrEnum):
    """What was decided about a party that waited."""

    OFFERED = "offered"
    TOO_BIG = "too_big"
    BY_HAND = "by_hand"
    LAPSED = "lapsed"


@dataclass(slots=True)
class Room:
    """An event's free seats, and the parties (persons each) that wait, in their order."""

    free: int
    waiting: list[int]
    queue: Queue

    def status_of(self, party: int) -> RegistrationStatus:
        """Whether a newcomer is seated or waits: never seated before somebody who waits and could have the seats."""
        is_strict = self.queue is Queue.STRICT
        if party > self.free or any(is_strict or one <= self.free for one in self.waiting):
            return RegistrationStatus.WAITING
        return RegistrationStatus.REGISTERED

    def admit(self, party: int) -> RegistrationStatus:
        """Seat a newcomer, or let it wait."""
        status = self.status_of(party)
        if status is RegistrationStatus.WAITING:
            self.waiting.append(party)
        else:
            self.free -= party
        return status


class Passed(NamedTuple):
    """What became of one that waited when seats were given out: `free` seats were there when its turn came."""

    place: int
    free: int
    is_offered: bool


def given_out(room: Room) -> list[Passed]:
    """To whom free seats go, in order: a party too big stops a strict list, and is passed over in the other."""
    passed: list[Passed] = []
    free = room.free
    for index, party in enumerate(room.waiting):
        if free <= 0:
            break
        passed.append(Passed(index, free, is_offered=party <= free))
        if party <= free:
            free -= party
        elif room.queue is Queue.STRICT:
            break
    return passed


class Night(NamedTuple):
    """The quiet hours, in China time; nobody is made an offer in them, and they do not count towards its deadline."""

    begins: time
    ends: time

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in the night."""
        clock = at.astimezone(CHINA).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    def morning(self, at: datetime) -> datetime:
        """When the night is over that a moment lies in; by day, the moment itself."""
        return self._next(at, self.ends) if self.holds(at) else at

    def deadline(self, at: datetime, hours: int) -> datetime:
        """So many waking hours after a waking moment."""
        left = timedelta(hours=hours)
        while self.begins != self.ends:
            until_night = self._next(at, self.begins) - at
            if left <= until_night:
                break
            left -= until_night
            at = self._next(at + until_night, self.ends)
        return at + left

    @staticmethod
    def _next(at: datetime, clock: time) -> datetime:
        there = at.astimezone(CHINA)
        same_day = datetime.combine(there.date(), clock, CHINA)
        return (same_day if same_day >= there else same_day + timedelta(days=1)).astimezone(at.tzinfo)


# --- answers ---

_FAULTS: Mapping[str, str] = {
    QuestionKind.TEXT: "answer_text", QuestionKind.NUMBER: "answer_number", QuestionKind.YES_NO: "answer_yes_no",
    QuestionKind.CHOICE: "answer_choice",
}  # fmt: skip


def answer_faults(questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Iterator[FieldError]:
    """What is wrong with a registration's answers; `questions` are `schemas.Question`s as they are stored."""
    known = {question["key"]: question for question in questions}
    for key in answers:
        if key not in known:
            yield FieldError(f"/answers/{key}", "unknown_question", {})
    for key, question in known.items():
        if answers.get(key) is None:
            if question["is_required"]:
                yield FieldError(f"/answers/{key}", "missing", {})
        elif not _is_answer(question, answers[key]):
            yield FieldError(f"/answers/{key}", _FAULTS[question["kind"]], {"choices": ", ".join(question["choices"])})


def _is_answer(question: Mapping[str, Any], answer: object) -> bool:
    match question["kind"]:
        case QuestionKind.TEXT:
            return isinstance(answer, str)
        case QuestionKind.NUMBER:
            return isinstance(answer, int) and not isinstance(answer, bool)
        case QuestionKind.YES_NO:
            return isinstance(answer, bool)
    return answer in question["choices"]
