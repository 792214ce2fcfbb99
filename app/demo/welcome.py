"""What the demonstration says when it serves: where, who one may be, what to try; and the worker beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from app.core.actors import Actor, Role
from app.core.clock import system_clock
from app.core.db import Database
from app.demo.people import HIRES, Hire, password
from app.identity.tokens import Tokens
from app.settings import Settings


@contextmanager
def background_worker(dsn: str, settings: Settings) -> Iterator[None]:
    """A worker process for as long as the block lasts."""
    environment = os.environ | {"CLUB_DATABASE_URL": dsn, "CLUB_SECRET": settings.signing_key.decode()}
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "worker"], env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def welcome(dsn: str, settings: Settings) -> str:
    """The words on the screen, with tokens that live as long as any."""
    async with Database.open(dsn) as database:
        row = await database.pool.fetchrow(
            """SELECT m.id, m.member_no, m.dealer_code FROM member m JOIN ledger.member_balance b ON b.member_id = m.id
                WHERE m.dealer_code = 'SH001' ORDER BY b.available DESC LIMIT 1"""
        )
    assert row is not None
    url = f"http://{settings.host}:{settings.port}"
    tokens = Tokens(settings.signing_key, clock=system_clock)
    life = timedelta(minutes=settings.access_token_minutes)
    member = tokens.issue(Actor(row["member_no"], Role.MEMBER, None, row["id"]), life)[0]
    program = next(hire for hire in HIRES if hire.role is Role.API_CLIENT)
    client = tokens.issue(Actor(program.username, program.role, scopes=frozenset(program.scopes)), life)[0]
    staff = [hire for hire in HIRES if hire.role is not Role.API_CLIENT]
    return "\n".join(
        [
            f"\n[bold]API {url}/api/v1   docs {url}/docs[/]   (Ctrl-C stops all of it)\n",
            "sign-ins (POST /api/v1/sign-in):",
            *(_sign_in(hire, settings) for hire in staff),
            f"  {'member ' + row['member_no']:<24} token {member}",
            f"  {program.username:<24} token {client}",
            f"tokens live {settings.access_token_minutes} minutes; a new one: club token SUBJECT\n",
            "try:",
            f"  curl -s {url}/api/v1/members/{row['id']}/points -H 'Authorization: Bearer {member}'",
            f"  curl -s {url}/api/v1/sign-in -H 'Content-Type: application/json'"
            f""" -d '{{"username": "hq", "password": "{password(settings, "hq")}"}}'""",
            f'  curl -s {url}/api/v1/statements?period=2026-10 -H "Authorization: Bearer $(.venv/bin/club token finance.hz001)"',
        ]
    )


def _sign_in(hire: Hire, settings: Settings) -> str:
    return f"  {hire.username:<24} password {password(settings, hire.username)}   {hire.name}"
