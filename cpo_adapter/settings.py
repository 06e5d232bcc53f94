"""Settings of the adapter: ADAPTER_* variables, read once at start, refused with a sentence where they are wrong."""

import base64
import binascii
import contextlib
import difflib
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretBytes, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ADAPTER_"
SECRET_KEY_BYTES = 32
MAXIMUM_PUBLIC_URL = 150
OPTIONAL = ("ocpp_certificate", "ocpp_key", "ocpp_tls_in_front")
"""Empty, as compose writes what an env file lacks, they are not set."""


class SettingsError(Exception):
    """One sentence a variable that is wrong, each with the way out."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class Settings(BaseSettings):
    """Mirrors the hub's variables; see README for the table."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    env: Literal["dev", "prod"] = "dev"
    host: str = "127.0.0.1"
    ocpi_port: int = Field(default=8081, ge=0, le=65535)
    ocpp_host: str = "127.0.0.1"
    ocpp_port: int = Field(default=9000, ge=0, le=65535)
    ocpp_certificate: Path | None = None
    ocpp_key: Path | None = None
    ocpp_tls_in_front: bool = False
    """A proxy of the operator's ends TLS before chargers' connections come here."""
    public_url: str = ""
    country_code: str = Field(default="", pattern=r"^([A-Za-z]{2})?$")
    party_id: str = Field(default="", pattern=r"^([A-Za-z0-9]{3})?$")
    database_url: str = Field(default="", repr=False)
    database_migrate_url: str = Field(default="", repr=False)
    redis_url: str = Field(default="", repr=False)
    secret_key: Annotated[SecretBytes, NoDecode] = SecretBytes(b"")
    allow_insecure: bool = False
    config: Path | None = None
    settle_seconds: int = Field(default=60, ge=0, le=86400)
    session_seconds: int = Field(default=2, ge=0, le=3600)

    @field_validator("secret_key", mode="before")
    @classmethod
    def _decode_key(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be 32 bytes in Base64; make one with `openssl rand -base64 32`") from None

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        wrong = [*self._missing(), *self._public_url_findings(), *self._ocpp_findings()]
        if self.env == "prod" and self.allow_insecure:
            wrong.append("ADAPTER_ALLOW_INSECURE is for development: unset it, or set ADAPTER_ENV=dev.")
        if wrong:
            raise SettingsError(wrong)
        return self

    def _missing(self) -> list[str]:
        key_length = len(self.secret_key.get_secret_value())
        checks = {
            "ADAPTER_COUNTRY_CODE is not set: two letters, the country_code of the CPO party.": self.country_code,
            "ADAPTER_PARTY_ID is not set: three characters, the party_id of the CPO party.": self.party_id,
            "ADAPTER_DATABASE_URL is not set: give postgresql://user:password@host/database.": self.database_url,
            "ADAPTER_SECRET_KEY must be 32 bytes in Base64; make one with `openssl rand -base64 32`.": (
                key_length == SECRET_KEY_BYTES
            ),
            "ADAPTER_CONFIG is not set: name the file with locations, EVSEs and tariffs.": self.config,
        }
        return [sentence for sentence, given in checks.items() if not given]

    def _public_url_findings(self) -> list[str]:
        wrong = []
        if not self.url.startswith(("https://", "http://")) or "?" in self.url or "#" in self.url:
            wrong.append(
                "ADAPTER_PUBLIC_URL is the address the hub reaches us at, for example https://cpo.example.com."
            )
        if len(self.url) > MAXIMUM_PUBLIC_URL:
            wrong.append(f"ADAPTER_PUBLIC_URL has {len(self.url)} characters; at most {MAXIMUM_PUBLIC_URL} leave room.")
        if self.env == "prod" and not self.url.startswith("https://"):
            wrong.append("ADAPTER_PUBLIC_URL must start with https:// in production.")
        return wrong

    def _ocpp_findings(self) -> list[str]:
        if (self.ocpp_certificate is None) != (self.ocpp_key is None):
            return ["ADAPTER_OCPP_CERTIFICATE and ADAPTER_OCPP_KEY go together: name both PEM files, or neither."]
        if self.env == "prod" and self.is_ocpp_plain and not _is_loopback(self.ocpp_host):
            return [
                f"Chargers would send their passwords unencrypted to {self.ocpp_host}:{self.ocpp_port}: name the PEM files in "
                "ADAPTER_OCPP_CERTIFICATE and ADAPTER_OCPP_KEY, or, where a proxy ends TLS in front, set "
                "ADAPTER_OCPP_TLS_IN_FRONT=true."
            ]
        return []

    @property
    def is_ocpp_plain(self) -> bool:
        """Whether chargers connect without TLS, OCPP's security profile 1, which is for development only (S-45)."""
        return self.ocpp_certificate is None and not self.ocpp_tls_in_front

    @property
    def url(self) -> str:
        """The base of every URL the adapter hands out, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.ocpi_port}").rstrip("/")

    @property
    def migrate_url(self) -> str:
        return self.database_migrate_url or self.database_url


def load(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`; raises SettingsError with one sentence a mistake."""
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and not _injected(name, value)}
    given = {name: value for name, value in given.items() if value or name[len(PREFIX) :].lower() not in OPTIONAL}
    unknown = [_unknown(name) for name in given if name[len(PREFIX) :].lower() not in Settings.model_fields]
    if unknown:
        raise SettingsError(unknown)
    try:
        return Settings.model_validate({name[len(PREFIX) :].lower(): value for name, value in given.items()})
    except ValidationError as error:
        raise SettingsError([_sentence(detail["loc"], detail["msg"]) for detail in error.errors()]) from None


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _injected(name: str, value: str) -> bool:
    """What container platforms put beside our own names."""
    return "_SERVICE_" in name or value.startswith("tcp://")


def _unknown(name: str) -> str:
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting of the adapter" + (f"; did you mean {near[0]}?" if near else ".")


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    return f"{PREFIX}{str(location[0]).upper() if location else ''}: {message}."
