"""Accounts, their grants, and programs over HTTP: for headquarters' administrators."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Right, Role
from app.core.clock import china_date
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.identity import accounts, grants, programs, queries, service
from app.identity.account_schemas import (
    AccountCreate,
    AccountRead,
    AccountUpdate,
    GrantEnd,
    GrantGive,
    ProgramCreate,
    SecretRead,
    SecretRotate,
    SecretShown,
)
from app.identity.models import Account, AccountKind
from app.identity.problems import GrantExists, OwnAccount, UsernameTaken
from app.identity.programs import NewSecret
from app.identity.schemas import GrantRead

router = APIRouter(tags=["accounts"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.ACCOUNTS_READ))]
Administrator = Annotated[Actor, Depends(Requires(Right.ACCOUNTS_WRITE))]


# --- accounts ---


@router.get("/accounts")
async def accounts_list(
    _: Reader,
    session: Session,
    now: Now,
    kind: AccountKind | None = None,
    role: Role | None = None,
    dealer_code: str | None = None,
    is_active: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AccountRead]:
    """Accounts, oldest first; by role or dealer those to whom it is granted and not over."""
    found = await queries.accounts(
        session, china_date(now), kind=kind, role=role, dealer_code=dealer_code, is_active=is_active,
        after=id_after(cursor), limit=limit + 1,
    )  # fmt: skip
    given = await queries.grants_by_account(session, [account.id for account in found])
    shown = [AccountRead.of(account, given[account.id]) for account in found]
    return Page[AccountRead].model_validate(paged(shown, limit, lambda account: (str(account.id),)))


@router.post("/accounts", status_code=201, response_model=AccountRead, responses=documented(UsernameTaken, KeyConflict))
async def accounts_create(
    body: AccountCreate, actor: Administrator, session: Session, now: Now, once: Once
) -> Response:
    """Give a person an account with a first password and a first grant."""

    async def create() -> AccountRead:
        account = await service.create_account(
            session, username=body.username, name=body.name, password=body.password.get_secret_value(),
            by=actor.subject, now=now, pointer="/grant", **body.grant.model_dump(),
        )  # fmt: skip
        return await _shown(session, account)

    return await once(body, create)


@router.get("/accounts/{account_id}", responses=documented(NotFound))
async def accounts_get(account_id: UUID, _: Reader, session: Session, response: Response) -> AccountRead:
    """One account."""
    return tagged(response, await _shown(session, await accounts.account(session, account_id)))


@router.patch("/accounts/{account_id}", responses=documented(NotFound, OwnAccount, PreconditionFailed))
async def accounts_update(
    account_id: UUID, body: AccountUpdate, if_match: IfMatch, actor: Administrator, session: Session, now: Now,
    response: Response,
) -> AccountRead:  # fmt: skip
    """Rename, deactivate or reactivate an account, or change a program's scopes."""
    changes = body.model_dump(exclude_unset=True)
    changed = await accounts.update(session, actor, account_id, changes, version=version_of(if_match), now=now)
    return tagged(response, await _shown(session, changed))


@router.post(
    "/accounts/{account_id}/grants",
    status_code=201,
    response_model=GrantRead,
    responses=documented(NotFound, OwnAccount, GrantExists, KeyConflict),
)
async def accounts_grant(
    account_id: UUID, body: GrantGive, actor: Administrator, session: Session, now: Now, once: Once
) -> Response:
    """Give a person another role, from a day on."""

    async def give() -> GrantRead:
        account = await accounts.person(session, actor, account_id)
        grant = await grants.give(session, account, by=actor.subject, now=now, **body.model_dump())
        return GrantRead.model_validate(grant, from_attributes=True)

    return await once(body, give)


@router.post("/accounts/{account_id}/grants/{grant_id}/end", responses=documented(NotFound, OwnAccount))
async def accounts_end_grant(
    account_id: UUID, grant_id: UUID, body: GrantEnd, actor: Administrator, session: Session, now: Now
) -> GrantRead:
    """End a grant, at once or with a last day; a grant only ever gets shorter."""
    ended = await accounts.end_grant(session, actor, account_id, grant_id, body.last_day, now=now)
    return GrantRead.model_validate(ended, from_attributes=True)


# --- programs ---
# These take no Idempotency-Key: the answer kept under it would be a secret.


@router.post("/programs", status_code=201, responses=documented(UsernameTaken))
async def programs_create(
    body: ProgramCreate, _: Administrator, session: Session, now: Now, response: Response
) -> SecretShown:
    """Take a program in; its secret is shown this once."""
    return _secret(response, await programs.create(session, **body.model_dump(), now=now))


@router.get("/programs/{account_id}/secrets", responses=documented(NotFound))
async def programs_secrets(account_id: UUID, _: Reader, session: Session) -> list[SecretRead]:
    """Since when a program has had which secrets, newest first; never the secrets."""
    found = await programs.secrets_of(session, account_id)
    return [SecretRead.model_validate(secret, from_attributes=True) for secret in found]


@router.post("/programs/{account_id}/secrets", status_code=201, responses=documented(NotFound))
async def programs_rotate_secret(
    account_id: UUID, body: SecretRotate, _: Administrator, session: Session, now: Now, response: Response
) -> SecretShown:
    """Give a program a new secret, shown this once; those it has end after the overlap."""
    overlap = timedelta(days=body.overlap_days)
    return _secret(response, await programs.rotate(session, account_id, overlap=overlap, now=now))


def _secret(response: Response, new: NewSecret) -> SecretShown:
    response.headers["Cache-Control"] = "no-store"
    return SecretShown(account_id=new.account.id, client_id=new.account.username, client_secret=new.secret)


async def _shown(session: AsyncSession, account: Account) -> AccountRead:
    return AccountRead.of(account, (await queries.grants_by_account(session, [account.id]))[account.id])
