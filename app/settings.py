"""Every knob of the service, read once from the environment (prefix `CLUB_`)."""

import errno
import os
import re
import secrets
from contextlib import suppress
from datetime import date, time
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal, Self

import limits
import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def default_data_dir() -> Path:
    """Where the embedded server and the local secret live: a system folder for root, else the user's."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return Path("/var/lib/owner-club") if is_root else Path(platformdirs.user_data_dir("owner-club"))


class Settings(BaseSettings):
    """Configuration of one process; frozen, so that nothing changes it under way."""

    model_config = SettingsConfigDict(
        env_prefix="CLUB_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

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
        default=None,
        description="signs tokens and codes, at least 32 characters; without it one is made and kept in data_dir",
    )
    old_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="former or coming secrets, comma-separated: what they signed is still good"
    )
    data_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Fernet keys that seal phone numbers, comma-separated, newest first;"
        " without them one is made and kept in data_dir",
    )
    access_token_minutes: int = Field(default=15, ge=1, description="life of an access token")
    staff_session_hours: int = Field(default=12, ge=1, description="after so long staff sign in again")
    member_session_days: int = Field(default=90, ge=1, description="after so long without a visit a member does")
    initial_password_days: int = Field(
        default=7, ge=1, description="a password somebody else set is changed within so long, or ends"
    )
    oidc_issuer: str | None = Field(
        default=None, description="OpenID Connect provider for staff (https://…); without it there is none"
    )
    oidc_client_id: str | None = Field(default=None, description="this service's name at the provider")
    oidc_client_secret: SecretStr | None = Field(default=None, description="this service's secret at the provider")
    oidc_redirect_url: str | None = Field(
        default=None, description="…/api/v1/sign-in/oidc/callback as browsers reach it, registered at the provider"
    )
    oidc_asserts_second_factor: bool = Field(
        default=False, description="the provider always asks for a second factor, even if its tokens do not say so"
    )
    first_period: date = Field(
        default=date(2025, 5, 1), description="first month of the books; earlier ones are closed"
    )
    rate_fen_per_thousand: int = Field(default=5000, ge=0, description="general contract at the books' opening")
    hold_minutes: int = Field(default=30, ge=1, description="an unresolved hold is released after this long")
    reward_hold_hours: int = Field(
        default=72, ge=1, description="an ordered reward's points go back when nobody confirms it for this long"
    )
    bill_share_percent: int | None = Field(
        default=None, ge=1, le=100, description="percent of a whole repair bill that points may pay; unset: all"
    )
    bill_fen_per_point: int = Field(
        default=5, ge=1, description="what a point redeemed without a reward counts on a bill with such a limit"
    )
    refund_grace_days: int = Field(default=30, ge=1, description="life of points refunded after their lot expired")
    sms: Literal["none", "console", "aliyun"] = Field(
        default="none", description="who sends text messages; console is the demo's, aliyun needs all of the next five"
    )
    sms_key_id: str | None = Field(default=None, description="AccessKey ID at Alibaba Cloud")
    sms_key_secret: SecretStr | None = Field(default=None, description="AccessKey secret at Alibaba Cloud")
    sms_sign_name: str | None = Field(default=None, description="the approved signature messages begin with")
    sms_template_redemption: str | None = Field(
        default=None, description="approved template with the variables place, points, code"
    )
    sms_template_sign_in: str | None = Field(default=None, description="approved template with the variable code")
    sms_template_phone_change: str | None = Field(
        default=None, description="approved template with the variable code; without it the one for signing in"
    )
    sms_template_phone_changed: str | None = Field(
        default=None, description="approved template without variables; without it no notice goes to the former number"
    )
    sms_template_event_cancelled: str | None = Field(
        default=None,
        description="approved template with the variables title, begins; without it who registered reads it in the app",
    )
    sms_base_url: str = Field(default="https://dysmsapi.aliyuncs.com", description="where the SMS provider is called")
    wechat_app_id: str | None = Field(
        default=None, description="the members' mini-program; without it nobody signs in by WeChat"
    )
    wechat_secret: SecretStr | None = Field(default=None, description="the mini-program's AppSecret")
    wechat_base_url: str = Field(default="https://api.weixin.qq.com", description="where WeChat is called")
    outbound_seconds: float = Field(default=5, gt=0, description="patience with the SMS provider and WeChat")
    transfer_answer_days: int = Field(
        default=14, ge=1, description="a transfer that the receiving chapter has not answered for so long is accepted"
    )
    value_classes: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("D", "G", "S"), min_length=1, description="the members' value classes, comma-separated, highest first"
    )
    referral_window_days: int = Field(
        default=90, ge=1, le=3_650, description="a referred car delivered, or ordered, within so long is a success"
    )
    lead_feedback_days: int = Field(default=7, ge=1, description="the dealer reports on a new lead within so long")
    lead_escalation_days: int = Field(
        default=7, ge=1, description="overdue feedback is the chapter's to look after, so long later headquarters'"
    )
    lead_rhythm_days: Annotated[tuple[Annotated[int, Field(ge=1)], ...], NoDecode] = Field(
        default=(7, 14, 30, 90),
        min_length=4,
        max_length=4,
        description="days between reports on a buyer within a month, a quarter, half a year, later; comma-separated",
    )
    event_region_limit_fen: int = Field(
        default=2_000_000, ge=0, description="the most of headquarters' money a region may grant one event"
    )
    event_region_limit_points: int = Field(default=50_000, ge=0, description="and of its points")
    event_survey_days: int = Field(default=30, ge=1, description="who came to an event says for so long how it was")
    event_prize_months: int = Field(default=24, ge=1, le=120, description="prizes in points last so many months")
    event_offer_hours: int = Field(
        default=24, ge=1, le=240, description="an offer to who waits for an event stands so many waking hours"
    )
    quiet_from: time = Field(
        default=time(21), description="from then, in China, nobody is made an offer or sent a text about an event"
    )
    quiet_until: time = Field(default=time(8), description="until then; the same as the other: no night")
    keep_leads_days: int = Field(
        default=365, ge=1, description="then who the buyers of ended referrals were is deleted"
    )
    signal_days: int = Field(default=30, ge=1, description="abuse signals look so many days back")
    signal_order_days: int = Field(
        default=3, ge=0, description="a redemption whose repair order has not come for so long is a signal"
    )
    signal_month_end_days: int = Field(default=3, ge=1, le=15, description="days that are a month's end")
    signal_month_end_percent: int = Field(
        default=300, ge=100, description="a day of a month's end with so much of an earlier day's points is a signal"
    )
    signal_month_end_points: int = Field(default=10_000, ge=1, description="unless there are fewer points in all")
    signal_names_a_phone: int = Field(default=3, ge=2, description="so many names under one phone number are a signal")
    signal_members_a_device: int = Field(
        default=5, ge=2, description="so many members who signed in on one device are a signal"
    )
    signal_ring_members: int = Field(
        default=4, ge=2, le=8, description="members who referred each other in a ring of at most so many are a signal"
    )
    keep_signals_days: int = Field(default=730, ge=1, description="then signals that were decided on are deleted")
    ask_again_days: int = Field(default=365, ge=1, description="whoever refused consent is left in peace for so long")
    erasure_days: int = Field(default=15, ge=0, description="time to think between asking for erasure and its night")
    keep_left_members_years: int = Field(default=3, ge=0, description="then members who left are erased")
    keep_applications_days: int = Field(default=365, ge=0, description="then ended applications are deleted")
    keep_delivery_contacts_days: int = Field(
        default=365, ge=1, description="then who the owners were that never joined is deleted from deliveries"
    )
    keep_rejections_days: int = Field(default=90, ge=0, description="then rows that imports refused are deleted")
    keep_provisions_years: int = Field(default=3, ge=3, description="records of what partners got; by law 3 or more")
    keep_consents_years: int = Field(default=3, ge=3, description="consents of erased members; at least as long")
    freeze_figures_after_days: int = Field(
        default=3, ge=0, le=27, description="a month's figures are frozen in the night after so many days of the next"
    )
    keep_audit_years: int = Field(default=3, ge=3, description="the audit trail; never less than 3")
    keep_owners_years: int = Field(
        default=10, ge=10, description="first-sale owners under a pseudonym; by law 10 or more"
    )
    keep_workshop_years: int = Field(
        default=5, ge=5, description="repair orders' owners under a pseudonym; by law 5 or more"
    )
    upload_max_mib: int = Field(default=512, ge=1, description="largest import body the API accepts")
    unpacked_max_mib: int = Field(default=2048, ge=1, description="largest upload once it is unpacked")
    member_upload_max_mib: int = Field(default=16, ge=1, description="largest file of members the API accepts")
    document_max_mib: int = Field(default=20, ge=1, le=20, description="largest document for chapters")
    imports_waiting: int = Field(default=200, ge=1, description="one sender's imports not worked off yet")
    imports_waiting_mib: int = Field(default=1024, ge=1, description="and what they have together, uploaded")
    order_max_fen: int = Field(
        default=20_000_000, ge=1, description="the most one repair order may be; headquarters' people may send more"
    )
    body_max_mib: int = Field(default=1, ge=1, description="largest body of any other request")
    rate_address: str = Field(
        default="600/minute", description="requests of one address (IPv6: /64) that nobody signed in for"
    )
    rate_account: str = Field(default="600/minute", description="requests of one account or member")
    rate_client: str = Field(default="60000/minute", description="requests of one program")
    rate_sign_in_codes: str = Field(
        default="30/hour", description="sign-in codes asked for from one address; more where many members share one"
    )
    rate_all_sign_in_codes: str = Field(
        default="600/minute", description="sign-in codes asked for by everybody; reaching it is an error in the log"
    )
    rate_sign_in_failures: str = Field(default="20/hour", description="wrong sign-in codes from one address")
    rate_lookups: str = Field(default="300/hour", description="look-ups of one account at the counter")
    rate_lookup_misses: str = Field(default="60/hour", description="look-ups of one account that find nobody")
    rate_wrong_codes: str = Field(default="20/hour", description="members' wrong confirmation codes from one account")
    limits_storage: SecretStr | None = Field(
        default=None, description="redis://… where all processes count requests together; without it each for itself"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins whose pages may call the API, comma-separated"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="addresses or networks whose X-Forwarded-For and -Proto are believed, comma-separated"
    )
    https: bool = Field(default=False, description="the public address is https: browsers are told to keep to it")
    slow_client_seconds: int = Field(default=20, ge=1, description="patience with a request that does not arrive")
    log_format: Literal["console", "json"] = Field(default="console", description="how log lines are written")
    access_log: Literal["none", "problems", "all"] = Field(
        default="problems", description="requests in the log: the refused, failed and slow ones, or all"
    )

    @field_validator(
        "data_keys",
        "old_secrets",
        "cors_origins",
        "trusted_proxies",
        "value_classes",
        "lead_rhythm_days",
        mode="before",
    )
    @classmethod
    def _apart(cls, value: object) -> object:
        return tuple(filter(None, (key.strip() for key in value.split(",")))) if isinstance(value, str) else value

    @field_validator("data_keys")
    @classmethod
    def _are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_KEY.fullmatch(key.get_secret_value()) for key in value):
            raise ValueError("each must be 32 bytes in URL-safe base64: `openssl rand -base64 32 | tr +/ -_`")
        return value

    @model_validator(mode="after")
    def _whole_sms_provider(self) -> Self:
        needed = ("key_id", "key_secret", "sign_name", "template_redemption", "template_sign_in")
        missing = [f"CLUB_SMS_{name.upper()}" for name in needed if getattr(self, f"sms_{name}") is None]
        if self.sms == "aliyun" and missing:
            raise ValueError(f"CLUB_SMS=aliyun needs {', '.join(missing)} too")
        return self

    @field_validator("secret")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr | None) -> SecretStr | None:
        # the public keys are published: a short secret could be found by trying
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters: `openssl rand -hex 32`")
        return value

    @field_validator(
        "rate_address", "rate_account", "rate_client", "rate_sign_in_codes", "rate_all_sign_in_codes",
        "rate_sign_in_failures", "rate_lookups", "rate_lookup_misses", "rate_wrong_codes",
    )  # fmt: skip
    @classmethod
    def _is_rate(cls, value: str) -> str:
        limits.parse(value)
        return value

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

    @field_validator("oidc_issuer", "oidc_redirect_url")
    @classmethod
    def _private(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", value):
            raise ValueError("must begin with https:// (http:// only for this machine)")
        return value

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        parts = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret, self.oidc_redirect_url)
        if any(parts) and not all(parts):
            raise ValueError("an OpenID Connect provider needs oidc_issuer, _client_id, _client_secret, _redirect_url")
        return self

    @property
    def signing_key(self) -> bytes:
        """The service's secret: from the environment, else from `data_dir/secret` (made on first use)."""
        return self.signing_keys[0]

    @cached_property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The service's secret and those before it, newest first."""
        newest = (self.secret.get_secret_value().encode(),) if self.secret else kept_secrets(self.secret_file)
        return tuple(dict.fromkeys((*newest, *(old.get_secret_value().encode() for old in self.old_secrets))))

    @property
    def secret_file(self) -> Path:
        """Where secrets are kept when the environment has none: one a line, newest first."""
        return self.data_dir / "secret"


def kept_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets of a file, newest first; one is made when there is no file.

    Raises:
        OSError: the file, or one there, cannot be used.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # linked when it is whole: of two processes that start together one wins, and both read the same
        with NamedTemporaryFile(dir=path.parent, prefix="secret.") as fresh:
            fresh.write(_new_secret())
            fresh.flush()
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    if found := tuple(path.read_bytes().split()):
        return found
    raise OSError(errno.EINVAL, "it is empty", str(path))


def rotate_secret(path: Path, *, keep: bool) -> None:
    """Put a new secret before the others, which are kept for what they signed and sealed, or dropped.

    Raises:
        OSError: the file cannot be used.
    """
    before = kept_secrets(path) if keep else ()
    # replaced when it is whole, so that whoever reads finds the old file or the new one
    with NamedTemporaryFile(dir=path.parent, prefix="secret.", delete=False) as fresh:
        try:
            fresh.write(b"\n".join((_new_secret(), *before)))
            fresh.flush()
            os.fsync(fresh.fileno())
            os.replace(fresh.name, path)
        except BaseException:
            os.unlink(fresh.name)
            raise


def _new_secret() -> bytes:
    return secrets.token_hex(32).encode()
