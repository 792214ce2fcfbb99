"""Commands that renew the service's keys."""

from typing import Annotated

import typer

from app.audit import service as audit
from app.audit.models import Action
from app.cli.opening import configured, on_books
from app.cli.terminal import console, fail
from app.core.db import Database
from app.core.vault import KeyFile
from app.members import sealing
from app.settings import rotate_secret


def rotate_signing_key(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="what the old ones signed and sealed is void")] = False,
) -> None:
    """Sign with a new secret from the service's next start on; what the old ones signed stays good until it ends."""
    settings = configured()
    if settings.secret is not None:
        fail("CLUB_SECRET is set: put a new one there, and the old one into CLUB_OLD_SECRETS")

    async def rotate_on_record(database: Database) -> None:
        # the deed first: a file that cannot be written takes it back
        async with database.transaction() as connection:
            dropped = {"old_ones_dropped": (None, drop_old)}
            await audit.record(connection, Action.KEY_ROTATED, "signing-key", changes=dropped)
            rotate_secret(settings.secret_file, keep=not drop_old)

    try:
        on_books(rotate_on_record)
    except OSError as error:
        fail(f"{settings.secret_file} cannot be used: {error.strerror}")
    console.print("a new key is in place: start the service again to use it", highlight=False)


def rotate_data_key() -> None:
    """Seal every phone number with the newest key, while the service runs; a key kept in a file is renewed first.

    With CLUB_DATA_KEYS put the new key in front and restart every process before. A rotation that was broken off
    is finished by the next one. Old keys stay where they are: backups made until now need them.
    """
    sealed = on_books(_reseal_on_record)
    console.print(f"{sealed:,} phone numbers sealed anew: all are under the newest key", highlight=False)


async def _reseal_on_record(database: Database) -> int:
    sealed = await _reseal(database)
    await audit.record(database.pool, Action.KEY_ROTATED, changes={"phones": (None, sealed)})
    return sealed


async def _reseal(database: Database) -> int:
    unfinished = await sealing.reseal(database)
    if unfinished or not isinstance(database.vault.keys, KeyFile):
        return unfinished
    database.vault.keys.renew()
    return await sealing.reseal(database)
