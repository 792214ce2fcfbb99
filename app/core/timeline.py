"""What happened to a member, as each domain tells it: a source says in SQL what it knows, `members.timeline` joins all.

Types alone, so that domains below members can tell as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, SelectBase, SQLColumnExpression, Text, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB

from app.core.actors import Actor


@dataclass(frozen=True, slots=True)
class Source:
    """A domain's part of the timeline.

    Attributes:
        name: its name in the API.
        kinds: what can happen; each has its words in the catalogue, `timeline.<name>.<kind>`, filled with its facts.
        rows: what happened to a member, made by `happening`.
        visible: who may read it, beside who may see the member.
    """

    name: str
    kinds: tuple[str, ...]
    rows: Callable[[UUID], SelectBase]
    visible: Callable[[Actor], bool]


def happening(
    *,
    at: SQLColumnExpression[Any],
    id: SQLColumnExpression[Any],
    kind: SQLColumnExpression[Any],
    facts: Mapping[str, SQLColumnExpression[Any]],
    by: SQLColumnExpression[Any] | None = None,
) -> Select[Any]:
    """The columns of a source; give it its table's conditions.

    Args:
        at: the moment (timestamptz); of a day, `beginning` of it.
        id: what tells it from the others of that moment; of one form, such as a UUID or a padded number.
        facts: what the words are filled with; null is left out of them as an empty text.
        by: the account that did it, shown to staff alone.
    """
    pairs = [part for name, value in facts.items() for part in (literal_column(f"'{name}'"), value)]
    told = func.jsonb_build_object(*pairs, type_=JSONB)
    actor = by if by is not None else literal_column("NULL")
    return select(
        cast(at, DateTime(timezone=True)).label("at"),
        cast(id, Text).label("id"),
        cast(kind, Text).label("kind"),
        told.label("facts"),
        cast(actor, Text).label("by"),
    )


def beginning(day: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
    """When a day begins in China."""
    return func.timezone("Asia/Shanghai", cast(day, DateTime()))
