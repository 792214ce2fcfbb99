"""Changed rows record themselves: whatever a session flushes of an audited table goes into the trail with it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import event, insert, inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.base import NO_VALUE
from sqlmodel import SQLModel

from app.audit import service
from app.audit.models import Action, AuditEvent

Row = TypeVar("Row", bound=SQLModel)


class Audited(NamedTuple):
    """How a table appears in the trail."""

    kind: str
    unkept: frozenset[str]
    untold: frozenset[str]


AUDITED: dict[type[SQLModel], Audited] = {}
"""Every audited table."""


def audited(
    kind: str, *, personal: Sequence[str] = (), secret: Sequence[str] = (), untold: Sequence[str] = ()
) -> Callable[[type[Row]], type[Row]]:
    """Declare a table whose changes are recorded.

    Args:
        kind: what its rows are called in the trail.
        personal: fields about a person: that they changed is recorded, their values are not.
        secret: fields such as hashes: as the personal ones.
        untold: fields of no interest, such as counters.
    """

    def declare(model: type[Row]) -> type[Row]:
        unknown = {*personal, *secret, *untold} - model.model_fields.keys()
        assert not unknown, f"{kind} has no {sorted(unknown)}"
        AUDITED[model] = Audited(kind, frozenset((*personal, *secret)), frozenset(("version", *untold)))
        return model

    return declare


@event.listens_for(Session, "after_flush")
def _record(session: Session, _: object) -> None:
    # before the session forgets what was there before
    changed = ((Action.CREATED, session.new), (Action.CHANGED, session.dirty), (Action.DELETED, session.deleted))
    deeds = [deed for action, rows in changed for row in rows if (deed := _deed(action, row)) is not None]
    if deeds:
        session.connection().execute(insert(AuditEvent), deeds)


def _deed(action: Action, row: Any) -> dict[str, Any] | None:
    table = AUDITED.get(type(row))
    if table is None:
        return None
    changes = {name: None if name in table.unkept else pair for name, pair in _changes(action, row, table)}
    if not changes and action is Action.CHANGED:
        return None
    return service.event(action, table.kind, [_name(row)], changes=changes)


def _changes(action: Action, row: Any, table: Audited) -> Iterator[tuple[str, tuple[Any, Any]]]:
    state = inspect(row)
    passed_over = table.untold | {column.key for column in state.mapper.primary_key}
    for attribute in state.mapper.column_attrs:
        name = attribute.key
        before, after = _pair(action, state.attrs[name])
        if name not in passed_over and before != after:
            yield name, (before, after)


def _pair(action: Action, attribute: Any) -> tuple[Any, Any]:
    if action is Action.CHANGED:
        added, _, removed = attribute.history
        return (removed[0] if removed else None), (added[0] if added else None)
    value = None if attribute.loaded_value is NO_VALUE else attribute.loaded_value
    return (None, value) if action is Action.CREATED else (value, None)


def _name(row: Any) -> str:
    # not its identity, which a new row has only after the flush
    return "/".join(map(str, inspect(row).mapper.primary_key_from_instance(row)))
