"""Codes that people read out and type: of letters and digits that are not read for one another."""

import secrets

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def fresh_code() -> str:
    """A new code of three groups of four, hard to guess (58 bits): `7Q2M-9KXD-R4TC`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))
