"""What the demonstration says when it serves: where, who one may be, what to try; and the worker beside it."""

import multiprocessing
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg

from app import worker
from app.core import process
from app.core.actors import Actor, Role
from app.core.clock import system_clock
from app.core.commands import on_full_network
from app.core.db import Database
from app.core.vault import vault_of
from app.demo import perks
from app.demo.people import HIRES, password
from app.identity.tokens import Tokens
from app.settings import Settings, default_data_dir
from app.settlement import queries as settled


@contextmanager
def background_worker(dsn: str) -> Iterator[None]:
    """A worker process for as long as the block lasts."""
    child = multiprocessing.get_context("spawn").Process(target=worker.main, args=(dsn,), name="worker")
    with process.deaf_children():
        child.start()
    try:
        yield
    finally:
        child.terminate()
        child.join(timeout=20)
        child.kill()
        child.join()


async def welcome(dsn: str, settings: Settings) -> str:
    """The words on the screen, with tokens that live as long as any."""
    async with Database.open(dsn, vault=vault_of(settings)) as database:
        member = await _a_member(database.pool)
        code = await perks.voucher_code(database, member["id"], member["member_no"], now=system_clock())
        month = await settled.last_sealed(database.pool)
    tokens = Tokens(settings.signing_key, clock=system_clock)
    life = timedelta(minutes=settings.access_token_minutes)
    staff = [hire for hire in HIRES if hire.role is not Role.API_CLIENT]
    programs = [hire for hire in HIRES if hire.role is Role.API_CLIENT]

    def token(actor: Actor) -> str:
        return tokens.issue(actor, life)[0]

    own = token(Actor(member["member_no"], Role.MEMBER, None, member["id"]))
    url = f"http://{settings.host}:{settings.port}"
    period = f"?period={month:%Y-%m}" if month else ""
    club, full = _command(settings), " --full" if on_full_network.get() else ""
    return "\n".join(
        [
            f"\n[bold]API {url}/api/v1   docs {url}/docs[/]   (Ctrl-C stops all of it)\n",
            "Staff sign in with a password (these accounts alone are spared its change and a second factor),"
            " programs with a client secret; the member's token"
            f" is good for {settings.access_token_minutes} minutes:",
            *(f"  {hire.username:<14} password {password(settings, hire.username)}   {hire.name}" for hire in staff),
            *(f"  {hire.username:<14} secret {password(settings, hire.username)}   {hire.name}" for hire in programs),
            f"  {member['member_no']:<14} token {own}   {member['name']}, a member",
            f"A new token: {club} token NAME{full}\n",
            f"A partner's till: {url}/partner   sign in as till.hotel" + (f", voucher {code}" if code else "") + "\n",
            "To try in another terminal:",
            f"  curl -s {url}/api/v1/sign-in -H 'Content-Type: application/json'"
            f""" -d '{{"username": "hq", "password": "{password(settings, "hq")}"}}'""",
            f"  curl -s {url}/oauth/token -d grant_type=client_credentials -u dms:{password(settings, 'dms')}",
            f"  curl -s {url}/api/v1/members/{member['id']}/points -H 'Authorization: Bearer {own}'",
            f"  curl -s '{url}/api/v1/statements{period}'"
            f' -H "Authorization: Bearer $({club} token finance.hz001{full})"\n',
        ]
    )


async def _a_member(connection: asyncpg.Pool) -> asyncpg.Record:
    """A member with points to look at."""
    row = await connection.fetchrow(
        """SELECT m.id, m.member_no, m.name FROM member m JOIN ledger.member_balance b ON b.member_id = m.id
            WHERE m.status = 'active' AND m.dealer_code = 'SH001' ORDER BY b.available DESC LIMIT 1"""
    )
    assert row is not None
    return row


def _command(settings: Settings) -> str:
    """How this command is called from here, with the data folder when it is not the usual one."""
    usual = settings.data_dir == default_data_dir()
    folder = "" if usual else f"CLUB_DATA_DIR={shlex.quote(str(settings.data_dir.absolute()))} "
    return folder + shlex.quote(sys.argv[0] if Path(sys.argv[0]).name == "club" else ".venv/bin/club")
