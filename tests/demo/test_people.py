"""Who is hired for the demonstration, also where an earlier release hired before."""

import pytest

from app.core.actors import Role
from app.demo import people
from app.identity import programs, service
from app.identity.models import Account, AccountKind
from tests.api import SETTINGS, Api
from tests.now import NOW


async def test_a_program_of_an_earlier_release_gets_the_secret_that_is_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "HIRES", [hire for hire in people.HIRES if hire.role is Role.API_CLIENT])
    async with api.db.session() as session:
        old = Account(username="dms", name="x", kind=AccountKind.PROGRAM, scopes=["points:read"], created_at=NOW)
        await service.add(session, old)
    shown = people.password(SETTINGS, "dms")
    for _ in range(2):
        await people.hire(api.db, SETTINGS, NOW)
        async with api.db.session() as session:
            assert await programs.authenticate(session, "dms", shown, NOW) is not None
            assert len(await programs.secrets_of(session, old.id)) == 1
