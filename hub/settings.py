"""Every setting of the hub, read once at the start (contracts section 1). Bad input is refused with sentences, all at once."""

import base64
import binascii
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hub import keys
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import KEY_LENGTH, Keys

PREFIX = "HUB_"
MAXIMUM_PUBLIC_URL = 150
_EMBEDDED = "embedded:"


class SettingsError(Exception):
    """The environment is not usable; `sentences` name each variable and the way out."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def _secret_key(value: SecretStr) -> SecretStr:
    try:
        length = len(base64.b64decode(value.get_secret_value().strip(), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != KEY_LENGTH:
        raise ValueError("not 32 bytes in Base64")
    return value


def _database_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    named = (
        text.removeprefix(_EMBEDDED) if text.startswith(_EMBEDDED) else urlsplit(text).netloc or urlsplit(text).query
    )
    if not text.startswith((_EMBEDDED, "postgresql://", "postgres://")) or not named:
        raise ValueError("not a database URL")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("not a Redis URL")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]

_WAYS_OUT = {
    "env": "is `dev` or `prod`",
    "host": "is an address to listen on, for example 127.0.0.1",
    "port": "is a port number from 1 to 65535, for example 8080",
    "admin_host": "is an address to listen on, for example 127.0.0.1",
    "admin_port": "is a port number from 1 to 65535, for example 8090",
    "country_code": "is the hub's own country: two letters of ISO 3166, for example NL",
    "party_id": "is the hub's own party id: three letters or digits, for example HUB",
    "database_url": "is `postgresql://user:password@host/database` or, in development, `embedded:<directory>`",
    "database_migrate_url": "is the URL of the role that owns the tables, `postgresql://...`; else HUB_DATABASE_URL is used",
    "redis_url": "is `redis://host:port` or left out",
    "secret_key": "is 32 random bytes in Base64; make one with `openssl rand -base64 32` and keep it",
    "secret_key_previous": "is the former HUB_SECRET_KEY: 32 bytes in Base64, or left out",
    "allow_insecure": "is `true` or `false`",
    "default_policy": "is `agreement` or `open`",
    "authorize_fan_out": "is how many eMSPs may be asked about an unknown token, 0 (nobody, the default) to 50",
    "requests_per_second": "is how many requests a second are taken of each platform, 0 (no limit, the default) to 10000",
    "trace_days": "is for how many days traces of messages are kept, 0 (none) to 3650",
    "cdr_years": "is for how many years bodies of CDRs are kept, 2 to 100",
    "postgres_bin": "is the folder of the programs `postgres` and `initdb` for an embedded database, or left out",
    "name": "is the hub's name as its partners read it, 1 to 100 characters",
    "website": "is the address of the hub's website, at most 255 characters",
    "logo": "is the address of the hub's logo, ending in .gif, .jpeg, .png or .svg, at most 255 characters",
}


class Settings(BaseSettings):
    """One field for each HUB_* variable. Made by `load`; the environment is never read elsewhere."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    env: Literal["dev", "prod"] = "dev"
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8080
    admin_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    admin_port: Port = 8090
    public_url: str
    country_code: Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")]
    party_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{3}$")]
    database_url: DatabaseUrl
    database_migrate_url: DatabaseUrl
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    secret_key: SecretKey
    secret_key_previous: SecretKey | None = None
    allow_insecure: bool = False
    postgres_bin: Path | None = None
    default_policy: Literal["agreement", "open"] = "agreement"
    authorize_fan_out: Annotated[int, Field(ge=0, le=50)] = 0
    """How many eMSPs are asked about a token the hub was never shown; 0 asks nobody (R-60)."""
    requests_per_second: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Of each platform, in each worker; 0 sets no limit (U-36)."""
    trace_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """0 stores no traces."""
    cdr_years: Annotated[int, Field(ge=2, le=100)] = 10
    name: Annotated[str, Field(min_length=1, max_length=100)] = "OCPI hub"
    website: Annotated[str, Field(pattern=r"^https?://", max_length=255)] | None = None
    logo: Annotated[str, Field(pattern=r"^https?://.+\.(gif|jpeg|png|svg)$", max_length=255)] | None = None

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over."""
        return (init_settings,)

    @property
    def hub_party(self) -> PartyId:
        """The hub's own party, reserved (R-81)."""
        return PartyId.of(self.country_code, self.party_id)

    @property
    def keys(self) -> Keys:
        """MAC and encryption keys, newest first."""
        secrets = [self.secret_key] + ([self.secret_key_previous] if self.secret_key_previous else [])
        return Keys.derived_from(*(base64.b64decode(secret.get_secret_value().strip()) for secret in secrets))

    @property
    def embedded_directory(self) -> Path | None:
        """Where the embedded database lives; None for a server of its own."""
        return _embedded_directory(self.database_url.get_secret_value())


def load(environ: Mapping[str, str]) -> Settings:
    """Read the HUB_* variables of `environ`; raises SettingsError with one sentence for each thing to put right.

    Makes the secret key file of an embedded database when it is not there yet.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and not _injected(name, value)}
    sentences = _unknown_names(given)
    values: dict[str, Any] = {
        _field(name): value for name, value in given.items() if _field(name) in Settings.model_fields
    }
    _fill_in(values, sentences)
    settings: Settings | None = None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        sentences += _sentences_of(error, values)
    if settings and not sentences:
        sentences += _contradictions(settings)
    if sentences or settings is None:
        raise SettingsError(sentences)
    return settings


def _field(name: str) -> str:
    return name.removeprefix(PREFIX).lower()


def _injected(name: str, value: str) -> bool:
    """Variables that container platforms add for a service that happens to be called `hub`."""
    return (
        "_SERVICE_" in name or value.startswith("tcp://") or bool(re.fullmatch(r"HUB_PORT_\d+_(TCP|UDP)(_.*)?", name))
    )


def _unknown_names(given: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    sentences = []
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else "remove it."
        sentences.append(f"{name} is not a setting of the hub; {advice}")
    return sentences


def _fill_in(values: dict[str, Any], sentences: list[str]) -> None:
    """Defaults that follow from other settings."""
    if "database_url" in values:
        values.setdefault("database_migrate_url", values["database_url"])
    values["public_url"] = values.get("public_url", _default_public_url(values)).rstrip("/")
    directory = _embedded_directory(values.get("database_url", ""))
    if directory and "secret_key" not in values and not sentences and values.get("env", "dev") == "dev":
        try:
            values["secret_key"] = keys.read_or_make(keys.key_file_of(directory))
        except (keys.KeyFileUnusable, OSError) as error:
            sentences.append(f"HUB_SECRET_KEY is not set and its file cannot be used: {error}")


def _default_public_url(values: Mapping[str, Any]) -> str:
    host, port = values.get("host", "127.0.0.1"), values.get("port", 8080)
    unreachable = values.get("env") == "prod" or host in ("0.0.0.0", "::")
    return "" if unreachable else f"http://{host}:{port}"


def _embedded_directory(url: str) -> Path | None:
    return Path(url.removeprefix(_EMBEDDED)) if url.startswith(_EMBEDDED) and url != _EMBEDDED else None


def _sentences_of(error: ValidationError, values: Mapping[str, Any]) -> list[str]:
    sentences = []
    for finding in error.errors(include_input=False, include_url=False):
        name = str(finding["loc"][0])
        if name == "database_migrate_url" and values.get(name) == values.get("database_url"):
            continue
        problem = "is not set" if finding["type"] == "missing" else "cannot be used"
        sentences.append(f"{PREFIX}{name.upper()} {problem}: it {_WAYS_OUT.get(name, 'has another form')}.")
    return list(dict.fromkeys(sentences))


def _contradictions(settings: Settings) -> list[str]:
    sentences = _public_url_findings(settings)
    if settings.env == "prod" and settings.allow_insecure:
        sentences.append("HUB_ALLOW_INSECURE is for development; remove it or set HUB_ENV=dev.")
    if settings.env == "prod" and settings.embedded_directory:
        sentences.append(
            "HUB_DATABASE_URL names an embedded database, which is for development; give `postgresql://...` or set HUB_ENV=dev."
        )
    if settings.host == settings.admin_host and settings.port == settings.admin_port:
        sentences.append("HUB_ADMIN_PORT is the same as HUB_PORT; the admin interface needs a port of its own.")
    return sentences


def _public_url_findings(settings: Settings) -> list[str]:
    url = settings.public_url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        return ["HUB_PUBLIC_URL is the address partners reach the hub at, for example https://hub.example.com; set it."]
    if len(url) > MAXIMUM_PUBLIC_URL:
        return [
            f"HUB_PUBLIC_URL has {len(url)} characters; at most {MAXIMUM_PUBLIC_URL} leave room for the paths of OCPI."
        ]
    if settings.env == "prod" and parts.scheme != "https":
        return ["HUB_PUBLIC_URL starts with http://; production needs https://."]
    return []
