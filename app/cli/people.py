"""Commands on who may sign in: accounts and their tokens."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

import typer

from app.audit import service as audit
from app.audit.models import Action
from app.cli.opening import configured, on_books, signing_key
from app.cli.terminal import day, fail, say
from app.core.actors import PROGRAM_SCOPES, Actor, Reach, Role
from app.core.catalogue import Language, text
from app.core.clock import china_date, system_clock
from app.core.db import Database
from app.identity import grants, programs
from app.identity import service as identity
from app.identity.models import USERNAME, AccountKind
from app.identity.rules import PASSWORD_MIN_LENGTH, is_reserved, password_fault
from app.identity.tokens import Tokens
from app.members import queries as members


def account(
    username: str,
    role: Annotated[Role, typer.Option(help="what it may do")],
    dealer: Annotated[
        list[str] | None, typer.Option(help="dealer code, for dealer staff; for a program as often as it is to reach")
    ] = None,
    region: Annotated[str | None, typer.Option(help="region code, for a regional manager or a program")] = None,
    partner: Annotated[str | None, typer.Option(help="partner code, for a partner's people")] = None,
    agency: Annotated[str | None, typer.Option(help="agency code, for an agency's people")] = None,
    until: Annotated[
        date | None, typer.Option(parser=day, metavar="DATE", help="the last day of the grant, or of a program")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option(help="for a program, as often as needed")] = None,
) -> None:
    """Make an account, such as the first of headquarters; asks for its password. A program's secret is printed once."""
    places = {Reach.DEALER: dealer, Reach.REGION: region, Reach.PARTNER: partner, Reach.AGENCY: agency}
    _check_places(role, places, dealers=len(dealer or ()))
    _check_scopes(role, scope or ())
    _check_username(username)
    password = "" if scope else _new_password(username)

    async def make(database: Database) -> str:
        async with database.session() as session:
            if scope:
                made = await programs.create(
                    session, username=username, name=username, scopes=scope, now=system_clock(),
                    dealer_codes=dealer or (), region_code=region, last_day=until,
                )  # fmt: skip
                return f"client secret, shown this once: {made.secret}"
            await identity.create_account(
                session, username=username, name=username, role=role, password=password, now=system_clock(), by="cli",
                dealer_code=dealer[0] if dealer else None, region_code=region, partner_code=partner, agency_code=agency,
                valid_until=until,
            )  # fmt: skip
            return f"account {username} made"

    say(on_books(make))


def _check_places(role: Role, places: Mapping[Reach, object], *, dealers: int) -> None:
    named = {reach for reach, codes in places.items() if codes}
    if role is Role.API_CLIENT:
        fits = named <= {Reach.DEALER, Reach.REGION}
    else:
        fits = named == {role.reach} & places.keys() and dealers < 2
    if role is Role.MEMBER or not fits:
        raise typer.BadParameter("members enrol; a role needs --dealer, --region, --partner or --agency, as it reaches")


def _check_scopes(role: Role, scopes: Sequence[str]) -> None:
    if (role is Role.API_CLIENT) != bool(scopes) or not set(scopes) <= PROGRAM_SCOPES:
        raise typer.BadParameter(f"a program, and it alone, needs --scope, of {', '.join(sorted(PROGRAM_SCOPES))}")


def _check_username(username: str) -> None:
    if not USERNAME.fullmatch(username) or is_reserved(username):
        raise typer.BadParameter(
            "a username has 3 to 64 letters, digits and . _ @ -, the first a letter or digit;"
            " not digits alone, nor a name of the service's own"
        )


def _new_password(username: str) -> str:
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if (fault := password_fault(password, username)) is not None:
        fail("the password " + text(Language.EN, f"field.{fault}", {"min_length": PASSWORD_MIN_LENGTH}))
    return password


def token(subject: Annotated[str, typer.Argument(help="a username, program or member number")]) -> None:
    """Print a short access token for an existing account or member."""
    settings = configured()
    lifetime = timedelta(minutes=settings.access_token_minutes)
    actor, lifetime = on_books(lambda database: _token_for(database, subject, lifetime))
    if actor is None:
        fail(f"there is no active account or member {subject!r}")
    print(Tokens(signing_key(settings), clock=system_clock).issue(actor, lifetime)[0])


async def _token_for(database: Database, subject: str, life: timedelta) -> tuple[Actor | None, timedelta]:
    """As `_actor`; on record before the token is printed."""
    actor, lifetime = await _actor(database, subject, life)
    if actor is not None:
        await audit.record(database.pool, Action.TOKEN_ISSUED, "subject", [actor.subject])
    return actor, lifetime


async def _actor(database: Database, subject: str, life: timedelta) -> tuple[Actor | None, timedelta]:
    """Whom a subject's token would speak for today, if anyone, and for how long, at most `life`."""
    now = system_clock()
    async with database.session() as session:
        account = await identity.find(session, subject)
        if account is None:
            return await members.actor(database.pool, subject), life
        if account.is_active and account.kind == AccountKind.PROGRAM:
            return grants.program_of(account), grants.program_lifetime(account, now, life)
        grant = await grants.choose(session, account.id, china_date(now)) if account.is_active else None
    return (grants.actor_of(account, grant), grants.lifetime(grant, now, life)) if grant else (None, life)
