"""Who may give which role, what makes a name and a password good enough, how failures slow the next try. Pure."""

from datetime import timedelta
from functools import cache
from pathlib import Path

from app.core.actors import Role

PASSWORD_MIN_LENGTH = 12
_COMMON = Path(__file__).parent / "common_passwords.txt"
_FEWEST_CHARACTERS = 5
_SHORTEST_NAME = 3
_LONGEST_DELAY = timedelta(minutes=15)

SECOND_FACTOR_ROLES = frozenset({
    Role.HQ_ADMIN, Role.HQ_OPERATIONS, Role.HQ_FINANCE, Role.AUDITOR, Role.FINANCE_CLERK,
})  # fmt: skip
"""Headquarters and finance: a password alone does not let them in."""

_COUNTER_STAFF = frozenset({Role.CARE_STAFF, Role.SERVICE_ADVISOR, Role.SALES_CONSULTANT})
MAY_GIVE: dict[Role, frozenset[Role]] = {
    Role.HQ_ADMIN: frozenset(Role) - {Role.MEMBER, Role.API_CLIENT},
    Role.HQ_OPERATIONS: _COUNTER_STAFF | {Role.CARE_DIRECTOR, Role.GENERAL_MANAGER},
    Role.CARE_DIRECTOR: _COUNTER_STAFF,
}
"""Who may give a role, and decide on those who have it, as far as the giver reaches.

Nobody but administrators makes a finance clerk, lest who spends the dealer's points also confirms its statements.
"""

RESERVED_NAMES = frozenset({
    "bench", "cli", "club", "demo", "headquarters", "migration", "operator", "retention", "root", "service", "system",
})  # fmt: skip
"""Names under which the service itself, and its commands, write what they did."""


def may_give(giver: Role, role: Role) -> bool:
    """Whether somebody in one role may give another."""
    return role in MAY_GIVE.get(giver, ())


def is_reserved(username: str) -> bool:
    """Whether nobody may be called so: digits alone are member numbers, and some names are the service's own."""
    return username.isdigit() or username.casefold() in RESERVED_NAMES


def password_fault(password: str, username: str) -> str | None:
    """Why a password will not do, as a field code; None when it will. NIST SP 800-63B, 5.1.1.2: length and lists."""
    plain = password.casefold()
    if len(password) < PASSWORD_MIN_LENGTH:
        return "password_too_short"
    if len(username) >= _SHORTEST_NAME and username.casefold() in plain:
        return "password_has_username"
    if len(set(plain)) < _FEWEST_CHARACTERS or {plain, _core(plain)} & _common():
        return "password_common"
    return None


def _core(password: str) -> str:
    """A password without what people put round a word to please rules: password2026!! is password."""
    letters = [index for index, character in enumerate(password) if character.isalpha()]
    return password[letters[0] : letters[-1] + 1] if letters else ""


@cache
def _common() -> frozenset[str]:
    lines = _COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def delay_after(failures: int, free: int) -> timedelta:
    """How long the next attempt must wait: nothing for the first `free` failures, then 1 s, 2 s, 4 s … 15 min."""
    if failures <= free:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - free - 1, 20)), _LONGEST_DELAY)
