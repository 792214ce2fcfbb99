"""Sealing, the blind index, and the file that keys are kept in."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError

from app.core.vault import NO_VAULT, KeyFile, Vault, WrongKeys, fresh_key, vault_of
from app.settings import Settings

PHONE = "+8613912345678"


def vault(*keys: str) -> Vault:
    return Vault(lambda: keys)


def test_what_is_sealed_is_opened_and_never_twice_the_same() -> None:
    own = vault(fresh_key())
    first, second = own.seal(PHONE), own.seal(PHONE)
    assert first != second
    assert PHONE[3:].encode() not in first
    assert own.open(first) == own.open(second) == PHONE


def test_an_index_is_the_same_for_the_same_number_and_key_only() -> None:
    one, other = fresh_key(), fresh_key()
    assert vault(one).index(PHONE) == vault(one).index(PHONE)
    assert len({vault(one).index(PHONE), vault(other).index(PHONE), vault(one).index("+8613912345679")}) == 3


def test_the_newest_key_writes_and_every_key_reads() -> None:
    old, new = fresh_key(), fresh_key()
    sealed, index = vault(old).seal(PHONE), vault(old).index(PHONE)
    both = vault(new, old)
    assert both.open(sealed) == PHONE
    assert both.indexes(PHONE) == [vault(new).index(PHONE), index]
    assert both.index(PHONE) == vault(new).index(PHONE)
    assert (both.is_newest(sealed), both.is_newest(both.seal(PHONE))) == (False, True)
    assert vault(new).open(both.seal(PHONE)) == PHONE


def test_without_its_key_nothing_is_opened() -> None:
    sealed = vault(fresh_key()).seal(PHONE)
    with pytest.raises(WrongKeys) as refused:
        vault(fresh_key()).open(sealed)
    assert PHONE not in str(refused.value)
    for work in (lambda: NO_VAULT.seal(PHONE), lambda: NO_VAULT.open(sealed), lambda: NO_VAULT.index(PHONE)):
        with pytest.raises(WrongKeys):
            work()


@pytest.mark.parametrize("at", [0, 20, -10])
def test_what_was_tampered_with_is_not_opened(at: int) -> None:
    own = vault(fresh_key())
    sealed = bytearray(own.seal(PHONE))
    sealed[at] ^= 1
    with pytest.raises(WrongKeys):
        own.open(bytes(sealed))


# --- the file ---


def test_a_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "data-keys"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: tuple(KeyFile(path)()), range(8)))
    assert len(found) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == ["data-keys"]


def test_a_new_key_is_known_to_whoever_reads_the_file_already(tmp_path: Path) -> None:
    path = tmp_path / "data-keys"
    serving, operator = Vault(KeyFile(path)), KeyFile(path)
    sealed, (old,) = serving.seal(PHONE), operator()
    operator.renew()
    new, *others = operator()
    assert (others, new != old) == ([old], True)
    assert serving.is_newest(Vault(KeyFile(path)).seal(PHONE))
    assert serving.index(PHONE) == vault(new).index(PHONE)
    assert serving.open(sealed) == PHONE


def test_a_damaged_file_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "data-keys"
    path.write_text("no key\n")
    for _ in range(2):
        with pytest.raises(WrongKeys):
            KeyFile(path)()
    assert path.read_text() == "no key\n"


# --- settings ---


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = [fresh_key(), fresh_key()]
    monkeypatch.setenv("CLUB_DATA_KEYS", f"{keys[0]}, {keys[1]}")
    settings = Settings(data_dir=tmp_path / "none")
    own = vault_of(settings)
    assert own.open(Fernet(keys[1]).encrypt(PHONE.encode())) == PHONE
    assert own.indexes(PHONE) == vault(*keys).indexes(PHONE)
    assert keys[0] not in repr(settings)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("key", ["short", fresh_key()[:-1], f"{fresh_key()}x", "é" * 43 + "="])
def test_what_is_no_key_is_not_taken_and_not_repeated(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(data_keys=(SecretStr(key),))
    assert "32 bytes" in refused.value.errors(include_input=False)[0]["msg"]


def test_without_keys_in_the_environment_a_file_is_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, data_keys=())
    sealed = vault_of(settings).seal(PHONE)
    assert vault_of(settings).open(sealed) == PHONE
    assert (tmp_path / "data-keys").exists()
