"""config.toml -> frozen Config. Owns every key, default and unit; knows no stage.

Every problem is collected and reported at once, with the key's path and the line where it stands.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from mailbot import tomlfile
from mailbot.errors import ConfigError
from mailbot.model import MessageClass

#: What ships with mailbot: beside the package in a checkout, inside it in a wheel.
_PACKAGE = Path(__file__).resolve().parent
SHIPPED = _PACKAGE / "defaults" if (_PACKAGE / "defaults").is_dir() else _PACKAGE.parent

Security = Literal["tls", "starttls", "none"]


def _address(value: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;:\"()]+@[^@\s<>,;:\"()]+", value):
        raise ValueError("must be one mail address such as name@example.org")
    local, _, domain = value.rpartition("@")
    return f"{local}@{domain.lower()}"


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/London") from None
    return value


def _language(value: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(value, sep="-")
    except (UnknownLocaleError, ValueError):
        raise ValueError("must be a language such as en-GB") from None
    return value


def _cron(value: str) -> str:
    from mailbot.schedule import cron_trigger

    try:
        cron_trigger(value, ZoneInfo("UTC"))
    except ValueError as problem:
        raise ValueError(f"must be five cron fields such as '0 7 * * mon-fri' ({problem})") from None
    return value


def _since(value: object) -> object:
    if isinstance(value, str) and value != "today":
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError('must be "today" or a date such as 2026-11-01') from None
    return value


def _file(value: str, info: ValidationInfo) -> str:
    """A relative path starts at the folder of config.toml, wherever mailbot was started."""
    return str((info.context or Path()) / Path(value).expanduser()) if value else ""


Address = Annotated[str, AfterValidator(_address)]
File = Annotated[str, AfterValidator(_file)]
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[float, Field(gt=0, le=3650)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Octets = Annotated[int, Field(ge=10_000, le=1_000_000_000)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class _Server(_Section):
    """Where a server is and how to sign in to it."""

    _default_ports: ClassVar[dict[str, int]] = {}

    #: host name or address
    host: Annotated[str, Field(min_length=1)]
    #: 0: the protocol's own port for `security`
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    security: Security
    username: str = ""
    password_env: str = ""
    password_file: File = ""
    password_keyring: str = ""
    ca_file: File = ""
    timeout_s: Seconds = 30.0

    @model_validator(mode="before")
    @classmethod
    def _port_by_security(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("port"):
            security = values.get("security", cls.model_fields["security"].default)
            if security in cls._default_ports:
                return {**values, "port": cls._default_ports[security]}
        return values

    @model_validator(mode="after")
    def _sane(self) -> _Server:
        given = [key for key in _PASSWORD_KEYS if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"needs one of {', '.join(_PASSWORD_KEYS)}, not several (given: {', '.join(given)})")
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError('security = "none" is allowed for loopback addresses only; use "tls" or "starttls"')
        return self

    @property
    def has_password(self) -> bool:
        """Some place of a password is named; otherwise the account's OAuth signs in."""
        return any(getattr(self, key) for key in _PASSWORD_KEYS)


_PASSWORD_KEYS = ("password_env", "password_file", "password_keyring")


class Imap(_Server):
    """The server that mail is read from."""

    _default_ports: ClassVar[dict[str, int]] = {"tls": 993, "starttls": 143, "none": 143}
    security: Security = "tls"
    username: Annotated[str, Field(min_length=1)]


class Smtp(_Server):
    """The server that mail is sent through."""

    _default_ports: ClassVar[dict[str, int]] = {"tls": 465, "starttls": 587, "none": 25}
    security: Security = "starttls"
    per_minute: Annotated[int, Field(ge=0, le=100_000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where an OAuth server is asked what."""

    token: str = ""
    device: str = ""
    authorize: str = ""
    #: further fields of the authorization request
    extra: tuple[tuple[str, str], ...] = ()


_MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/"
_GOOGLE = Endpoints(
    token="https://oauth2.googleapis.com/token",  # noqa: S106 - a place, not a secret
    authorize="https://accounts.google.com/o/oauth2/v2/auth",
    # Without these Google gives a refresh token at the first consent only.
    extra=(("access_type", "offline"), ("prompt", "consent")),
)
_MICROSOFT_SCOPES = (
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
    "offline_access",
)
#: of a client that signs in as itself, for every permission that an administrator gave it
_MICROSOFT_OWN_SCOPES = ("https://outlook.office365.com/.default",)


class OAuth(_Section):
    """Sign-in without a password, for both servers of an account."""

    provider: Literal["microsoft", "google", "other"]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_env: str = ""
    client_secret_file: File = ""
    client_secret_keyring: str = ""
    flow: Literal["device", "browser", "client_credentials"] = "device"
    tenant: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "organizations"
    scopes: tuple[str, ...] = ()
    token_url: str = ""
    device_url: str = ""
    authorize_url: str = ""
    token_file: File = ""
    token_keyring: str = ""
    warn_days: Days = 7.0

    @model_validator(mode="before")
    @classmethod
    def _flow_by_provider(cls, values: Any) -> Any:
        # Google's device flow has no permission for mail.
        if isinstance(values, dict) and values.get("provider") == "google" and "flow" not in values:
            return {**values, "flow": "browser"}
        return values

    @model_validator(mode="after")
    def _complete(self) -> OAuth:
        given = [key for key in _SECRET_KEYS if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"needs one of {', '.join(_SECRET_KEYS)}, not several (given: {', '.join(given)})")
        if self.flow == "client_credentials" and not given:
            raise ValueError(f'flow = "client_credentials" needs one of {", ".join(_SECRET_KEYS)}')
        if self.provider == "google" and self.flow != "browser":
            raise ValueError('Google signs in to mail with flow = "browser" only')
        if self.provider == "other" and not self.scopes:
            raise ValueError('provider = "other" needs scopes')
        wanted = {"token_url": self.endpoints.token}
        wanted |= {"device_url": self.endpoints.device} if self.flow == "device" else {}
        wanted |= {"authorize_url": self.endpoints.authorize} if self.flow == "browser" else {}
        for key, url in wanted.items():
            if not url:
                raise ValueError(f'provider = "other" with flow = "{self.flow}" needs {key}')
            parts = urlsplit(url)
            if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
                raise ValueError(f"{key} must begin with https://")
        return self

    @property
    def endpoints(self) -> Endpoints:
        """Where the server is asked what: as configured, else as the provider is known to have it."""
        known = Endpoints()
        if self.provider == "google":
            known = _GOOGLE
        elif self.provider == "microsoft":
            base = _MICROSOFT.format(tenant=self.tenant)
            known = Endpoints(token=f"{base}token", device=f"{base}devicecode", authorize=f"{base}authorize")
        return Endpoints(
            token=self.token_url or known.token,
            device=self.device_url or known.device,
            authorize=self.authorize_url or known.authorize,
            extra=known.extra,
        )

    @property
    def wanted_scopes(self) -> tuple[str, ...]:
        """What is asked for."""
        if self.scopes or self.provider == "other":
            return self.scopes
        if self.provider == "google":
            return ("https://mail.google.com/",)
        return _MICROSOFT_OWN_SCOPES if self.flow == "client_credentials" else _MICROSOFT_SCOPES


_SECRET_KEYS = ("client_secret_env", "client_secret_file", "client_secret_keyring")


class Account(_Section):
    """One login, with the mailboxes (folders) to read in it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    address: Address
    display_name: str = ""
    aliases: tuple[Address, ...] = ()
    mailboxes: Annotated[tuple[str, ...], Field(min_length=1)] = ("INBOX",)
    poll_interval_s: Seconds = 60.0
    idle: bool = True
    authserv_id: str = ""
    imap: Imap
    smtp: Smtp
    oauth: OAuth | None = None

    @model_validator(mode="before")
    @classmethod
    def _token_file_by_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(oauth := values.get("oauth"), dict) and not oauth.get("token_file"):
            slug = re.sub(r"[^\w.-]+", "-", str(values.get("name", "")))
            return {**values, "oauth": {**oauth, "token_file": f"oauth-{slug}.json"}}
        return values

    @model_validator(mode="after")
    def _can_sign_in(self) -> Account:
        for name, server in (("imap", self.imap), ("smtp", self.smtp)):
            if server.username and not server.has_password and self.oauth is None:
                raise ValueError(
                    f"{name} needs one of {', '.join(_PASSWORD_KEYS)} (given: none), or the account a section oauth"
                )
        return self


class Coordinator(_Section):
    """Who signs the acknowledgements and reads the digest."""

    name: Annotated[str, Field(min_length=1)]
    address: Address


class CampaignFiles(_Section):
    """Where the campaign's own files are, and how its people read dates."""

    rules: str = "rules"
    templates: str = "templates"
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Europe/London"
    language: Annotated[str, AfterValidator(_language)] = "en-GB"


class StoreSection(_Section):
    """Where everything is kept."""

    url: Annotated[str, Field(pattern=r"^(sqlite:///|postgresql(\+psycopg)?://)")] = "sqlite:///mailbot.db"
    cache: str = "cache"


class Log(_Section):
    """What goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Intake(_Section):
    """Which mail is read, and how much at a time."""

    since: Annotated[Literal["today"] | date, BeforeValidator(_since)] = "today"
    older: Literal["leave", "file"] = "leave"
    max_size_octets: Octets = 30_000_000
    batch_octets: Octets = 8_000_000


class Acknowledge(_Section):
    """When mail is answered."""

    enabled: bool = True
    answer_classes: tuple[Literal["contribution", "enquiry", "unrelated"], ...] = ("contribution", "enquiry")
    max_age_days: Days = 3.0
    same_answer_days: Days = 7.0
    new_thread_days: Days = 1.0
    per_domain_per_hour: Count = 20
    per_hour: Count = 100
    bounces_per_hour: Count = 3
    receipt_below: Share = 0.6
    envelope_from: Literal["tagged", "account", "null"] = "tagged"
    retry_days: Days = 3.0

    @property
    def classes(self) -> frozenset[MessageClass]:
        """The classes that are answered; none when acknowledging is off."""
        return frozenset(MessageClass(name) for name in self.answer_classes) if self.enabled else frozenset()


class DigestSection(_Section):
    """When and to whom the digest goes."""

    cron: Annotated[str, AfterValidator(_cron)] = "0 7 * * mon-fri"
    to: Annotated[str, AfterValidator(lambda value: value and _address(value))] = ""
    send_when_empty: bool = False


class Config(_Section):
    """All of config.toml."""

    coordinator: Coordinator
    campaign: CampaignFiles = CampaignFiles()
    store: StoreSection = StoreSection()
    log: Log = Log()
    intake: Intake = Intake()
    acknowledge: Acknowledge = Acknowledge()
    digest: DigestSection = DigestSection()
    account: Annotated[tuple[Account, ...], Field(min_length=1)]
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _distinct_accounts(self) -> Config:
        for what in ("name", "address"):
            values = [getattr(account, what).lower() for account in self.account]
            if len(set(values)) != len(values):
                raise ValueError(f"account: every account needs a {what} of its own")
        return self

    @property
    def folder(self) -> Path:
        """Where relative paths start: the folder of config.toml."""
        return self._folder

    @property
    def time_zone(self) -> ZoneInfo:
        """The zone of what people read."""
        return ZoneInfo(self.campaign.time_zone)

    @property
    def rules_folders(self) -> tuple[Path, ...]:
        """Where rules are looked for, file by file: the deployment's, then the shipped ones."""
        return _folders(self.folder / self.campaign.rules, "rules")

    @property
    def template_folders(self) -> tuple[Path, ...]:
        """Where templates are looked for, file by file: the deployment's, then the shipped ones.

        In each of them first the subfolder of the campaign's language, such as ``de-AT``, then ``de``.
        """
        folders = _folders(self.folder / self.campaign.templates, "templates")
        language, _, territory = self.campaign.language.partition("-")
        names = (self.campaign.language, language) if territory else (language,)
        return tuple(
            each for folder in folders for each in (*(folder / name for name in names), folder) if each.is_dir()
        )

    @property
    def cache_folder(self) -> Path:
        """Where the trained classifier is kept."""
        return self.folder / self.store.cache

    @property
    def store_url(self) -> str:
        """The store's URL with an absolute path."""
        if self.store.url.startswith("sqlite:///"):
            return f"sqlite:///{(self.folder / self.store.url.removeprefix('sqlite:///')).absolute()}"
        return self.store.url

    @property
    def digest_to(self) -> str:
        """The address the digest goes to."""
        return self.digest.to or self.coordinator.address

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address that is ours, in lower case: accounts and their aliases."""
        return frozenset(address.lower() for account in self.account for address in (account.address, *account.aliases))


def _folders(own: Path, shipped: str) -> tuple[Path, ...]:
    default = SHIPPED / shipped
    return (own, default) if own.is_dir() and own.resolve() != default.resolve() else (default,)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine, so that clear text harms nobody."""
    if host in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_config(path: Path) -> Config:
    """Reads config.toml.

    Args:
        path: the file; its folder is where relative paths start.

    Raises:
        ConfigError: with every problem at once: missing file, broken TOML, unknown keys, wrong values.
    """
    if not path.is_file():
        raise ConfigError(
            [f"{path}: no such file; copy config.example.toml there and fill it in, or run `mailbot init`"]
        )
    document, text = tomlfile.parse(path)
    try:
        config = Config.model_validate(document, context=path.resolve().parent)
    except ValidationError as problem:
        raise ConfigError(tomlfile.sentences(path, text, problem)) from None
    config._folder = path.resolve().parent
    return config


def secret_of(settings: OAuth) -> str:
    """The secret of an OAuth client, from where the configuration says it is; "" for a client without one.

    Raises:
        ConfigError: it is not there.
    """
    if not any(getattr(settings, key) for key in _SECRET_KEYS):
        return ""
    return _secret(
        env=settings.client_secret_env,
        file=settings.client_secret_file,
        keyring_service=settings.client_secret_keyring,
        username=settings.client_id,
        keys="client_secret",
        what=f"secret of the OAuth client {settings.client_id}",
    )


def password(server: Imap | Smtp) -> str:
    """The password of `server`, from where the configuration says it is.

    Raises:
        ConfigError: the variable is not set, the file cannot be read, the keyring holds no such entry, or the
            password has letters that LOGIN cannot carry (RFC 3501 section 6.2.3).
    """
    found = _password(server)
    if not found.isascii():
        raise ConfigError(
            [
                f"the password of {server.username} at {server.host} has letters beyond ASCII, "
                "on which servers disagree; choose another"
            ]
        )
    return found


def _password(server: Imap | Smtp) -> str:
    return _secret(
        env=server.password_env,
        file=server.password_file,
        keyring_service=server.password_keyring,
        username=server.username,
        keys="password",
        what=f"password of {server.username} at {server.host}",
    )


def _secret(*, env: str, file: str, keyring_service: str, username: str, keys: str, what: str) -> str:
    if env:
        if value := os.environ.get(env):
            return value
        raise ConfigError([f"{keys}_env: the environment variable {env} is not set; set it to the {what}"])
    if file:
        try:
            lines = Path(file).read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError([f"{keys}_file: cannot read {file} ({problem})"]) from None
        if lines and lines[0]:
            return lines[0]
        raise ConfigError([f"{keys}_file: the first line of {file} is empty; write the {what} there"])
    import keyring
    from keyring.errors import KeyringError

    try:
        found = keyring.get_password(keyring_service, username)
    except KeyringError as problem:
        raise ConfigError([f"{keys}_keyring: the system keyring cannot be used ({problem}); use {keys}_file"]) from None
    if found is None:
        raise ConfigError(
            [
                f"{keys}_keyring: no {what} under {keyring_service!r}; "
                f"store it with `keyring set {keyring_service} {username}`"
            ]
        )
    return found
