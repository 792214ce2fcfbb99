"""What identity keeps secret at rest and digests under a key, from the service's secret."""

import base64
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Seals:
    """Seals by Fernet and digests by HMAC-SHA256. Older secrets still open what they sealed."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """`secrets` are the service's, newest first, at least one."""
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(secret, b"seal"))) for secret in secrets])
        self._digest_key = _derived(secrets[0], b"digest")

    def seal(self, content: bytes) -> bytes:
        """The content, sealed under the newest secret."""
        return self._fernet.encrypt(content)

    def opened(self, sealed: bytes | str) -> bytes | None:
        """What was sealed; None when it was changed or its secret is gone."""
        try:
            return self._fernet.decrypt(sealed)
        except (InvalidToken, ValueError):
            # ValueError: text that is not even ASCII
            return None

    def digest(self, *parts: str) -> bytes:
        """A keyed digest of several texts, each told apart from the next."""
        content = b"".join(len(part).to_bytes(4, "big") + part for part in (part.encode() for part in parts))
        return hmac.digest(self._digest_key, content, "sha256")


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"owner-club identity " + purpose).derive(secret)
