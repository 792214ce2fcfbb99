"""Recording deeds: explicitly here, changed rows by themselves in `rows`, refusals at the edge in `refusals`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import Action
from app.core.actors import Actor, acting
from app.core.db import Connection, new_id, raw
from app.core.origin import origin

DONE = "done"
SERVICE = "service"
"""Who does what nobody asked for: jobs and schedules."""

Changes = Mapping[str, Sequence[Any] | None]
"""Field → (before, after); None where the values are personal or secret."""


async def record(
    where: AsyncSession | Connection, action: Action, target_kind: str | None = None, target_ids: Iterable[object] = (),
    *, changes: Changes | None = None, outcome: str = DONE, actor: Actor | None = None,
) -> None:  # fmt: skip
    """Record one deed in the transaction of `where`: it stands or falls with what was done.

    Args:
        target_ids: what was done to, by references that are not personal data themselves.
        changes: as in `AuditEvent`.
        actor: who did it, where that is not the caller of the request under way (signing in, say).
    """
    deed = event(action, target_kind, target_ids, changes=changes, outcome=outcome, actor=actor)
    connection = await raw(where) if isinstance(where, AsyncSession) else where
    await connection.execute(
        "INSERT INTO audit_event SELECT * FROM jsonb_populate_record(NULL::audit_event, $1::jsonb)",
        orjson.dumps(deed, default=str).decode(),
    )


def event(
    action: Action, target_kind: str | None = None, target_ids: Iterable[object] = (),
    *, changes: Changes | None = None, outcome: str = DONE, actor: Actor | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The row of one deed, with who does it, when and from where."""
    source = origin.get()
    return {
        "id": new_id(),
        "at": source.now(),
        **_author(actor or acting.get(), source.operator),
        "request_id": source.request_id,
        "address": source.address,
        "operation": source.operation,
        "action": action.value,
        "target_kind": target_kind,
        "target_ids": [str(target) for target in target_ids],
        "changes": to_jsonable_python(dict(changes or {})),
        "outcome": outcome,
    }


def _author(actor: Actor | None, operator: str | None) -> dict[str, str | None]:
    if actor is not None:
        return {"actor": actor.subject, "role": actor.role.value, "reach": _reach(actor)}
    if operator is not None:
        return {"actor": operator, "role": "operator", "reach": None}
    # a request's caller who is not known has no name
    name = SERVICE if origin.get().request_id is None else None
    return {"actor": name, "role": name, "reach": None}


def _reach(actor: Actor) -> str:
    place = ",".join(sorted(actor.dealers)) or actor.region_code or actor.partner_code
    return f"{actor.reach}:{place}" if place else actor.reach.value
