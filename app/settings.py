"""Every knob of the service, read once from the environment (prefix `CLUB_`)."""

import os
import secrets
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_data_dir() -> Path:
    """Where the embedded server and the local secret live: a system folder for root, else the user's."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return Path("/var/lib/owner-club") if is_root else Path(platformdirs.user_data_dir("owner-club"))


class Settings(BaseSettings):
    """Configuration of one process; frozen, so that nothing changes it under way."""

    model_config = SettingsConfigDict(env_prefix="CLUB_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = Field(
        default=None, description="any PostgreSQL >= 15; without it the embedded server is started"
    )
    data_dir: Path = Field(default_factory=default_data_dir, description="embedded server's data and local secret")
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="port the API listens on")
    workers: int = Field(default=1, ge=1, description="API processes")
    pool_size: int = Field(default=16, ge=1, description="connections per process on the posting path")
    session_pool_size: int = Field(default=16, ge=1, description="connections per process for everything else")
    secret: SecretStr | None = Field(
        default=None, description="signs tokens and codes; without it one is made and kept in data_dir"
    )
    access_token_minutes: int = Field(default=15, ge=1, description="life of an access token")
    first_period: date = Field(
        default=date(2025, 5, 1), description="first month of the books; earlier ones are closed"
    )
    rate_fen_per_thousand: int = Field(default=5000, ge=0, description="general contract at the books' opening")
    hold_minutes: int = Field(default=30, ge=1, description="an unresolved hold is released after this long")
    refund_grace_days: int = Field(default=30, ge=1, description="life of points refunded after their lot expired")
    sms: Literal["none", "console"] = Field(
        default="none", description="who sends text messages; console is the demo's"
    )
    upload_max_mib: int = Field(default=512, ge=1, description="largest import body the API accepts")

    @field_validator("first_period", mode="before")
    @classmethod
    def _month(cls, value: object) -> object:
        """Also a month as it is written elsewhere: 2025-05."""
        return f"{value}-01" if isinstance(value, str) and value.count("-") == 1 else value

    @field_validator("first_period")
    @classmethod
    def _first_day(cls, value: date) -> date:
        if value.day != 1:
            raise ValueError(f"{value} is not the first day of a month such as 2025-05-01")
        return value

    @cached_property
    def signing_key(self) -> bytes:
        """The service's secret: from the environment, else from `data_dir/secret` (made on first use)."""
        if self.secret is not None:
            return self.secret.get_secret_value().encode()
        return _kept_secret(self.data_dir / "secret")


def _kept_secret(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # linked when it is whole: of two processes that start together one wins, and both read the same
        with NamedTemporaryFile(dir=path.parent, prefix="secret.") as fresh:
            fresh.write(secrets.token_hex(32).encode())
            fresh.flush()
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    return path.read_bytes()
