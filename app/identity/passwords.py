"""Passwords, stored as argon2id only."""

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

# OWASP's argon2id floor (19 MiB, 2 passes): at most two at a time keeps a process small under a flood of sign-ins
_HASHER = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
_AT_A_TIME = asyncio.Semaphore(2)
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$YWJjZGVmZ2hpamtsbW5vcA$0nTTxQIdvbZ3Uq5nL5L1ZmN9GjMFrYBbWVOoPCE4sGk"


async def hash_password(password: str) -> str:
    """The password's argon2id hash."""
    async with _AT_A_TIME:
        return await asyncio.to_thread(_HASHER.hash, password)


async def verify(password: str, stored: str | None) -> bool:
    """Whether the password is right; takes as long when there is none to compare with."""
    async with _AT_A_TIME:
        good = await asyncio.to_thread(_HASHER.verify, password, stored or _NOBODY)
    return good and stored is not None
