"""The SQL of members' sign-in."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.db import Connection
from app.members.models import Member
from app.members.rules import MemberStatus
from app.members.sign_in_models import WechatUser
from app.members.sign_in_rules import FORGOTTEN_AFTER, MOST_TRIES

_LOCK = """
INSERT INTO sign_in_code (phone_digest, expires_at, tries, sent_at) VALUES ($1, $2, 0, '{}')
ON CONFLICT (phone_digest) DO UPDATE SET phone_digest = excluded.phone_digest
RETURNING sent_at
"""
_KEEP = "UPDATE sign_in_code SET digest = $2, expires_at = $3, tries = 0, sent_at = $4 WHERE phone_digest = $1"
_TAKE = """
UPDATE sign_in_code SET tries = tries + 1, digest = CASE WHEN digest = $2 THEN NULL ELSE digest END
 WHERE phone_digest = $1 AND digest IS NOT NULL AND expires_at > $3 AND tries < $4
RETURNING digest IS NULL
"""


async def lock_number(connection: asyncpg.Connection, phone_digest: bytes, now: datetime) -> Sequence[datetime]:
    """When codes were asked for under a number, oldest first; until commit nobody else asks for one."""
    sent: Sequence[datetime] = await connection.fetchval(_LOCK, phone_digest, now)
    return sent


async def keep_code(
    connection: asyncpg.Connection, phone_digest: bytes, digest: bytes, until: datetime, sent_at: Sequence[datetime]
) -> None:
    """Expect a code in place of the one before."""
    await connection.execute(_KEEP, phone_digest, digest, until, sent_at)


async def take_code(db: Connection, phone_digest: bytes, digest: bytes, now: datetime) -> bool:
    """Whether the code is the one expected; that uses it up, and a wrong one counts as a try."""
    good: bool | None = await db.fetchval(_TAKE, phone_digest, digest, now, MOST_TRIES)
    return good is True


async def forget_codes(db: Connection, now: datetime) -> None:
    """Delete what no longer limits anybody."""
    await db.execute("DELETE FROM sign_in_code WHERE expires_at < $1", now - FORGOTTEN_AFTER)


async def member_of(session: AsyncSession, app_id: str, openid: str) -> Member | None:
    """The active member a WeChat user is known to be."""
    query = (
        select(Member)
        .join(WechatUser, col(WechatUser.member_id) == col(Member.id))
        .where(WechatUser.app_id == app_id, WechatUser.openid == openid, Member.status == MemberStatus.ACTIVE)
    )
    return (await session.scalars(query)).one_or_none()


async def know(session: AsyncSession, app_id: str, openid: str, member_id: UUID, now: datetime) -> None:
    """From now on a WeChat user is this member, whoever it was before."""
    values = {"app_id": app_id, "openid": openid, "member_id": member_id, "linked_at": now}
    upsert = insert(WechatUser).values(values)
    changed = {"member_id": member_id, "linked_at": now}
    await session.execute(upsert.on_conflict_do_update(index_elements=["app_id", "openid"], set_=changed))


async def forget_wechat(session: AsyncSession, member_id: UUID) -> bool:
    """No WeChat user is this member any more; whether one was."""
    gone = delete(WechatUser).where(col(WechatUser.member_id) == member_id).returning(col(WechatUser.openid))
    return bool((await session.scalars(gone)).all())
