"""Personal data at rest: sealed by Fernet, and found again by a keyed blind index.

Whoever has the database but not the keys learns neither the texts nor, since the index is keyed, whether a text that
was guessed is among them. The newest key writes; every key reads, so that keys can be changed while serving.
"""

import base64
import binascii
import hmac
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from weakref import WeakKeyDictionary

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import ARRAY, ColumnElement, Dialect, LargeBinary, SQLColumnExpression, any_, literal
from sqlalchemy.sql import operators
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator

from app.settings import Settings


class WrongKeys(Exception):
    """No key of ours opens what is stored, or there is none at all."""

    def __str__(self) -> str:
        return "the data keys at hand do not open what is stored: CLUB_DATA_KEYS must name the key it was sealed with"


Keys = Callable[[], Sequence[str]]
"""Fernet keys (32 bytes in URL-safe base64), newest first; asked before every use."""


def fresh_key() -> str:
    """A new key."""
    return Fernet.generate_key().decode()


class Vault:
    """Seals texts with the newest key, opens what any key sealed, and indexes texts so that they can be found."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._ring: _Ring | None = None

    def _now(self) -> "_Ring":
        keys = tuple(self.keys())
        if not keys:
            raise WrongKeys
        if self._ring is None or keys != self._ring.keys:
            self._ring = _Ring(keys)
        return self._ring

    def seal(self, text: str) -> bytes:
        """The text as it is stored; never twice the same."""
        return self._now().newest.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text of what is stored.

        Raises:
            WrongKeys: it was sealed with a key that is not among ours, or is damaged.
        """
        try:
            return self._now().all.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKeys from None

    def index(self, text: str) -> bytes:
        """What is stored beside a sealed text to find it by: 32 bytes, HMAC-SHA256 with the newest key's."""
        return self.indexes(text)[0]

    def indexes(self, text: str) -> list[bytes]:
        """What may be stored beside a sealed text, newest key first: look for any of them."""
        return [hmac.digest(key, text.encode(), "sha256") for key in self._now().index_keys]

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it."""
        try:
            self._now().newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


NO_VAULT = Vault(lambda: ())
"""Refuses all: for work that touches no personal data."""


class _Ring:
    """The keys made ready for use."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.newest = Fernet(keys[0])
        self.all = MultiFernet([Fernet(key) for key in keys])
        self.index_keys = [_index_key(key) for key in keys]


def _index_key(key: str) -> bytes:
    # of its own, so that the index tells nothing about the seal
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"owner-club blind index")
    return derive.derive(base64.urlsafe_b64decode(key))


# --- where keys are kept ---


def vault_of(settings: Settings) -> Vault:
    """The vault with the keys of CLUB_DATA_KEYS, else with those of `data_dir/data-keys`."""
    if keys := settings.data_keys:
        named = tuple(key.get_secret_value() for key in keys)
        return Vault(lambda: named)
    return Vault(KeyFile(settings.data_dir / "data-keys"))


class KeyFile:
    """Keys of a file, one a line, newest first; made with one key on first use, and read anew when it has changed.

    So the processes of one machine know of a new key before anything sealed with it can reach them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[str, ...] = ()
        self._reading = threading.Lock()

    def __call__(self) -> Sequence[str]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            self._write([fresh_key()], first=True)
            status = os.stat(self._path)
        seen = (status.st_mtime_ns, status.st_ino)
        with self._reading:
            if seen != self._seen:
                self._keys = tuple(map(_well_formed, self._path.read_text().split()))
                self._seen = seen
            return self._keys

    def renew(self) -> None:
        """Put a new key in front; those there stay, since what they sealed is still to be read."""
        self._write([fresh_key(), *self()])

    def _write(self, keys: Sequence[str], *, first: bool = False) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # it appears when it is whole; of two processes that make the first one, one wins and both read the same
        with NamedTemporaryFile("w", dir=self._path.parent, prefix="data-keys.", delete=False) as fresh:
            fresh.write("\n".join(keys) + "\n")
            fresh.flush()
            os.fsync(fresh.fileno())
        try:
            if first:
                os.link(fresh.name, self._path)
            else:
                # an operator's command may run as root: the service is still to read it
                os.chown(fresh.name, (owner := os.stat(self._path)).st_uid, owner.st_gid)
                os.replace(fresh.name, self._path)
        except FileExistsError:
            pass
        finally:
            Path(fresh.name).unlink(missing_ok=True)


def _well_formed(key: str) -> str:
    try:
        Fernet(key)
    except (ValueError, binascii.Error):
        raise WrongKeys from None
    return key


# --- columns ---

_vaults: WeakKeyDictionary[Dialect, Vault] = WeakKeyDictionary()


def entrust(dialect: Dialect, vault: Vault) -> None:
    """Let an engine's sessions seal and open their columns with this vault."""
    _vaults[dialect] = vault


def vault_for(dialect: Dialect) -> Vault:
    """The vault of an engine's sessions."""
    return _vaults[dialect]


class Sealed(TypeDecorator[str]):
    """A text column that is stored sealed: plain in Python, cipher text in the database."""

    impl = LargeBinary
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator[str]):  # noqa: N801 (SQLAlchemy's name)
        """Refuses comparisons other than with null, which would silently find nothing."""

        def operate(self, op: OperatorType, *other: Any, **options: Any) -> ColumnElement[Any]:
            """`IS NULL` and `IS NOT NULL` alone make sense."""
            if op not in (operators.is_, operators.is_not):
                raise TypeError("a sealed column is never the same twice: look for its blind index by vault.finds()")
            return super().operate(op, *other, **options)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Seal what is written."""
        return None if value is None else vault_for(dialect).seal(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Open what is read."""
        return None if value is None else vault_for(dialect).open(value)


class _Indexes(TypeDecorator[str]):
    """A text given as a parameter that arrives as its indexes."""

    impl = ARRAY(LargeBinary)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> list[bytes]:
        # nothing is found by no text, as with any null
        return [] if value is None else vault_for(dialect).indexes(value)


def finds(index: SQLColumnExpression[bytes] | SQLColumnExpression[bytes | None], text: str) -> ColumnElement[bool]:
    """Whether a row's blind index is this text's: the sealed column itself is never the same twice."""
    return index == any_(literal(text, _Indexes()))
