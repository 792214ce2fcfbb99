"""An event's report as tables of words: what its files, PDF or workbook, are made of."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.core.catalogue import Language, text, yuan
from app.core.clock import CHINA
from app.events.aftermath import Findings, percent
from app.events.gathering_rules import Mean
from app.events.models import EventReport
from app.events.reports import PartySum
from app.events.rules import LineKind

Cells = tuple[str, ...]


class Section(NamedTuple):
    """A heading, and rows of cells beneath it."""

    heading: str
    rows: Sequence[Cells]


class Told(NamedTuple):
    """An event's report in words: its title, its tables, and what people wrote (heading and text)."""

    title: str
    sections: Sequence[Section]
    prose: Sequence[tuple[str, str]]


def told(found: Findings, report: EventReport | None, costs: Sequence[PartySum], language: Language) -> Told:
    """All that is known of an event, section by section; nothing of members but sums."""
    words = _Words(language)
    sections = [
        words.section("event", _event(found, words)),
        words.section("attendance", _figures(dict(found.outcome), _ATTENDANCE, words)),
        words.section("invitations", _figures(dict(found.invited), _INVITATIONS, words)),
        words.section("survey", _figures(dict(found.survey), _SURVEY, words)),
        words.section("workshop", _workshop(found, words)),
        words.section("costs", [*_costs(found, costs, words)]),
    ]
    return Told(found.event.title, sections, [*_prose(report, words)])


_ATTENDANCE = ("registered", "attended", "no_shows", "persons", "points_awarded")
_INVITATIONS = ("invited", "control", "yes", "no", "maybe", "unanswered")
_SURVEY = ("asked", "answers", "mean", "balance")


class _Words:
    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str) -> str:
        return text(self.language, f"event_file.{key}", {})

    def section(self, key: str, rows: Sequence[Cells]) -> Section:
        return Section(self(key), rows)


def _event(found: Findings, words: _Words) -> list[Cells]:
    event = found.event
    begins, ends = (f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}" for at in (event.starts_at, event.ends_at))
    return [
        (words("chapter"), event.dealer_code or words("headquarters")),
        (words("class"), text(words.language, f"event_class.{event.event_class}", {})),
        (words("kind"), text(words.language, f"event_kind.{event.kind}", {})),
        (words("time"), f"{begins} – {ends}"),
        (words("place"), event.place),
        (words("purpose"), event.purpose),
    ]


def _figures(figures: dict[str, object], names: Sequence[str], words: _Words) -> list[Cells]:
    return [(words(name), "-" if figures[name] is None else str(figures[name])) for name in names]


def _workshop(found: Findings, words: _Words) -> list[Cells]:
    compared = found.comparison
    groups: dict[str, Mean] = {
        "came": compared.came, "absent": compared.absent, "all_invited": compared.invited,
        "control": compared.control,
    }  # fmt: skip
    head = ("", words("members"), words("visitors"), words("visits"), words("paid"))
    rows = [
        (words(name), str(one.members), f"{one.visitors} ({percent(one)})", str(one.visits), yuan(one.paid_fen))
        for name, one in groups.items()
    ]
    until = words("until") if compared.is_complete else words("until_open")
    return [(until, compared.until.isoformat()), head, *rows]


def _costs(found: Findings, costs: Sequence[PartySum], words: _Words) -> Iterator[Cells]:
    yield (words("payer"), words("counted_in"), words("planned"), words("granted"), words("actual"))
    for cost in costs:
        amounts = (_amount(cost.kind, amount) for amount in (cost.planned, cost.granted, cost.actual))
        yield (cost.payer, words(f"in_{cost.kind}"), *amounts)
    yield (words("cost"), yuan(found.outcome.cost_fen))
    each = found.outcome.cost_per_person_fen
    yield (words("cost_per_person"), "-" if each is None else yuan(each))


def _amount(kind: LineKind, amount: int) -> str:
    return yuan(amount) if kind == LineKind.MONEY else f"{amount:,}"


def _prose(report: EventReport | None, words: _Words) -> Iterator[tuple[str, str]]:
    if report is not None:
        yield words("summary"), report.summary
        if report.results:
            yield words("results"), report.results
