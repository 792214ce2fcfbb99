"""Keys: named by their thumbprint, published, rotated while tokens of the old one are still about."""

import base64
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.actors import Actor, Role
from app.identity.keys import Key
from app.identity.tokens import ISSUER, Tokens
from app.settings import Settings, kept_secrets, rotate_secret
from tests.api import SETTINGS, Api
from tests.now import NOW

OLD, NEW = b"the-secret-of-last-year-0123456789", b"the-secret-of-this-year-0123456789"
ADVISOR = Actor("li", Role.SERVICE_ADVISOR, "BJ001")


def tokens(*secrets: bytes) -> Tokens:
    return Tokens(*secrets, clock=lambda: NOW)


def issued(keeper: Tokens) -> str:
    return keeper.issue(ADVISOR, timedelta(minutes=1))[0]


def test_a_key_is_named_by_its_thumbprint():
    """The example of RFC 8037, A.1 and A.3."""
    key = Key(
        Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
    )
    assert key.jwk() == {
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "alg": "EdDSA", "use": "sig",
    }  # fmt: skip


def test_a_secret_has_one_key_and_another_secret_another():
    assert Key.derived(OLD).kid == Key.derived(bytes(OLD)).kid != Key.derived(NEW).kid


def test_what_the_old_key_signed_is_good_as_long_as_it_is_known():
    before = issued(tokens(OLD))
    assert tokens(NEW, OLD).actor(before) == ADVISOR
    assert tokens(NEW).actor(before) is None
    after = issued(tokens(NEW, OLD))
    assert jwt.get_unverified_header(after)["kid"] == Key.derived(NEW).kid
    assert tokens(NEW).actor(after) == ADVISOR
    # a process that has not heard of the new one yet, and one that has
    assert tokens(OLD).actor(after) is None
    assert tokens(OLD, NEW).actor(after) == ADVISOR


async def test_a_stranger_verifies_by_the_published_keys(api: Api):
    answer = await api.http.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=300")
    token = api.token(Role.HQ_ADMIN, subject="boss")
    published = jwt.PyJWKSet.from_dict(answer.json())
    key = published[jwt.get_unverified_header(token)["kid"]]
    # the tests' own time
    claims = jwt.decode(token, key, ["EdDSA"], issuer=ISSUER, options={"verify_exp": False, "verify_iat": False})
    assert (claims["sub"], claims["role"]) == ("boss", "hq_admin")


async def test_no_private_half_is_published(api: Api):
    answer = await api.http.get("/.well-known/jwks.json")
    assert [set(key) for key in answer.json()["keys"]] == [{"kty", "crv", "x", "kid", "alg", "use"}]
    assert [key["kid"] for key in answer.json()["keys"]] == [Key.derived(SETTINGS.signing_key).kid]


def test_the_newest_key_is_published_first():
    assert [key["kid"] for key in tokens(NEW, OLD).jwks()["keys"]] == [Key.derived(NEW).kid, Key.derived(OLD).kid]


# --- where the secrets come from ---


def test_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CLUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CLUB_SECRET", NEW.decode())
    monkeypatch.setenv("CLUB_OLD_SECRETS", f"{OLD.decode()}, {NEW.decode()},")
    settings = Settings()
    assert (settings.signing_key, settings.signing_keys) == (NEW, (NEW, OLD))
    assert not list(tmp_path.iterdir())


def test_a_secret_that_could_be_guessed_is_refused():
    with pytest.raises(ValueError, match="at least 32 characters") as refusal:
        Settings(secret="short and sweet")
    assert "short and sweet" not in str(refusal.value)


def test_rotation_in_the_file_keeps_the_old_ones_until_they_are_dropped(tmp_path: Path):
    file = tmp_path / "data" / "secret"
    first = kept_secrets(file)
    assert kept_secrets(file) == first
    assert len(first) == 1
    rotate_secret(file, keep=True)
    second = kept_secrets(file)
    assert second[1:] == first
    rotate_secret(file, keep=True)
    third = kept_secrets(file)
    assert third[1:] == second
    rotate_secret(file, keep=False)
    assert len(kept_secrets(file)) == 1
    assert not set(kept_secrets(file)) & {*first, *second, *third}
    assert (file.stat().st_mode & 0o777, [path.name for path in file.parent.iterdir()]) == (0o600, ["secret"])


def test_an_empty_secret_is_none(tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"\n")
    with pytest.raises(OSError, match="it is empty"):
        kept_secrets(tmp_path / "secret")


def test_a_rotation_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "secret"
    before = kept_secrets(file)

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        rotate_secret(file, keep=True)
    assert (kept_secrets(file), list(tmp_path.iterdir())) == (before, [file])
