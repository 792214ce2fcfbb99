"""The keys tokens are signed with: Ed25519, each derived from one of the service's secrets."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.utils import base64url_encode

ALGORITHM = "EdDSA"
_PURPOSE = b"owner-club: token signing, Ed25519"


@dataclass(frozen=True)
class Key:
    """A pair of keys. Whoever has the secret has the same pair, so that processes need not share anything else."""

    private: Ed25519PrivateKey

    @classmethod
    def derived(cls, secret: bytes) -> "Key":
        """The pair of a secret (HKDF, RFC 5869)."""
        seed = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret)
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """What verifies."""
        return self.private.public_key()

    @cached_property
    def kid(self) -> str:
        """The key's name: its thumbprint (RFC 7638)."""
        # required members only, in this order, without spaces
        return _base64url(sha256(orjson.dumps(self._members)).digest())

    @property
    def _members(self) -> dict[str, str]:
        return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(self.public.public_bytes_raw())}

    def jwk(self) -> dict[str, str]:
        """The public half, as it is published (RFC 8037)."""
        return self._members | {"kid": self.kid, "alg": ALGORITHM, "use": "sig"}


def _base64url(content: bytes) -> str:
    return base64url_encode(content).decode()
