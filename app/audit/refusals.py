"""Refusals, recorded at the edge: what was refused is rolled back, the trail of it is not."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from app.audit import service
from app.audit.models import Action
from app.core.actors import Reach, acting
from app.core.origin import Origin, origin
from app.core.problems import NotFound, Problem, Unauthenticated

log = logging.getLogger("club.audit")

A_MINUTE, OF_ALL = 60, 3_000
"""How many refusals a minute are recorded of one caller, and of all callers of a process: known ones, and nobody."""

Answer = Callable[[Request, Exception], Awaitable[Response]]


class _Claim(NamedTuple):
    source: Origin
    kind: str
    target_id: object | None


_claim: ContextVar[_Claim | None] = ContextVar("claim", default=None)


def concern(kind: str, target_id: object | None) -> None:
    """The caller, who is nobody yet, claims to be this account or member; None: there is none such.

    Called in either case: a refusal is then recorded in either case, and takes as long.
    """
    _claim.set(_Claim(origin.get(), kind, target_id))


def _claimed() -> _Claim | None:
    claim = _claim.get()
    return claim if claim is not None and claim.source is origin.get() else None


class Allowance:
    """So many a minute: a flood of refusals fills neither the table nor memory."""

    def __init__(self, each: int = A_MINUTE, together: int = OF_ALL) -> None:
        self._each, self._together = each, together
        self._minute: datetime | None = None
        self._seen: Counter[str] = Counter()
        self._recorded = 0
        self._passed_over = 0

    def has_room(self, caller: str, now: datetime) -> bool:
        """Whether another refusal of this caller is recorded; those that are not are counted in the log."""
        self._turn_to(now.replace(second=0, microsecond=0))
        if self._recorded >= self._together or self._seen[caller] >= self._each:
            self._passed_over += 1
            return False
        self._seen[caller] += 1
        self._recorded += 1
        return True

    def _turn_to(self, minute: datetime) -> None:
        if minute == self._minute:
            return
        if self._passed_over:
            log.warning("%d refusals of the minute %s were not recorded", self._passed_over, self._minute)
        self._minute, self._recorded, self._passed_over = minute, 0, 0
        self._seen.clear()


class Refusals:
    """Records what an app refuses. An app has one: `request.app.state.refusals`."""

    def __init__(self) -> None:
        # each its own: whoever floods us without a name does not hide what somebody with a name tries
        self._of_known, self._of_nobody = Allowance(), Allowance()

    async def keep(self, request: Request, outcome: str) -> None:
        """Record a refusal in a transaction of its own, while the allowance lasts."""
        actor, source = acting.get(), origin.get()
        allowance, caller = (self._of_known, actor.subject) if actor else (self._of_nobody, str(source.address))
        if not allowance.has_room(caller, source.now()):
            return
        kind, ids = _target(request)
        await service.record(request.app.state.db.pool, Action.REFUSED, kind, ids, outcome=outcome)


def _target(request: Request) -> tuple[str | None, list[str]]:
    if (claim := _claimed()) is not None:
        return claim.kind, [] if claim.target_id is None else [str(claim.target_id)]
    # a caller can write anything into a path, and PostgreSQL keeps no NUL
    named = [str(value)[:100].replace("\0", "\ufffd") for value in request.path_params.values()]
    return ("path", named) if named else (None, [])


def tells(request: Request, problem: Problem) -> bool:
    """Whether a refusal says something about its caller.

    A 401 does when somebody tried to be someone; a 404 when the caller reaches only part of the club, so that what
    it did not find may be another's; a 403 does always, a 429 when it is known who called or whom it was about.
    """
    actor = acting.get()
    match problem.status:
        case 401:
            return not isinstance(problem, Unauthenticated) or "Authorization" in request.headers
        case 403:
            return True
        case 404:
            return isinstance(problem, NotFound) and actor is not None and actor.reach is not Reach.ALL
        case 429:
            return actor is not None or _claimed() is not None
        case _:
            return False


def watch(app: Starlette) -> None:
    """Have the app record what it refuses before it answers; called once its answers are installed."""
    answer: Answer = app.exception_handlers[Problem]
    kept = app.state.refusals = Refusals()

    async def record_and_answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if tells(request, error):
            await kept.keep(request, error.type)
        return await answer(request, error)

    app.add_exception_handler(Problem, record_and_answer)
