"""One-time codes with which a member confirms a redemption: from the member's app (TOTP, RFC 6238, 60 s) or by SMS."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.points.ledger import Code

STEP = 60
SMS_LIFE = timedelta(minutes=5)


class Codes:
    """Makes and judges codes. A member's TOTP secret is derived from the service's key, so that none is stored."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def current(self, member_id: UUID, now: datetime) -> tuple[str, datetime]:
        """The code the member's app shows now, and the end of its minute."""
        step = int(now.timestamp()) // STEP
        return hotp(self._secret(member_id), step), datetime.fromtimestamp((step + 1) * STEP, UTC)

    def judge(self, member_id: UUID, code: str, now: datetime) -> Code:
        """The code as the ledger wants it: which minute's TOTP it is (this one or the last), and its digest."""
        this = int(now.timestamp()) // STEP
        secret = self._secret(member_id)
        step = next((s for s in (this, this - 1) if hmac.compare_digest(hotp(secret, s), code)), None)
        return Code(step, self.digest(member_id, code))

    def digest(self, member_id: UUID, code: str) -> bytes:
        """What is stored of a code sent by SMS."""
        return self._derive(f"sms:{member_id}:{code}")

    @staticmethod
    def fresh() -> str:
        """A new code of six digits."""
        return f"{secrets.randbelow(10**6):06d}"

    def _secret(self, member_id: UUID) -> bytes:
        return self._derive(f"totp:{member_id}")

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._key, purpose.encode(), "sha256")


def hotp(secret: bytes, counter: int) -> str:
    """The six digits of a counter (RFC 4226, 5.3); libraries take the secret through base32, at five times the cost."""
    digest = hmac.digest(secret, counter.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"
