"""config.toml and campaign.toml: every problem at once, with its line; the example is the documentation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED, Account, Config, Imap, OAuth, Smtp, load_config, password
from mailbot.errors import ConfigError

EXAMPLE = (SHIPPED / "config.example.toml").read_text("utf-8")


def problems_of(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def documented() -> dict[str, object]:
    """The example with every commented default switched on, but for the other ways to give a password."""
    text = re.sub(r"(?m)^# (?=\w+ = |\[)(?!password_)", "", EXAMPLE)
    return tomllib.loads(text)


def keys_of(section: type[BaseModel]) -> set[str]:
    return set(section.model_fields)


def test_example_names_every_key() -> None:
    document = documented()
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    assert set(document) == set(sections)
    for name, section in sections.items():
        if isinstance(section, type) and issubclass(section, BaseModel):
            assert set(document[name]) == keys_of(section), name  # type: ignore[call-overload]
    (account,) = document["account"]  # type: ignore[misc]
    assert set(account) == keys_of(Account)
    for name, server in (("imap", Imap), ("smtp", Smtp), ("oauth", OAuth)):
        block = re.search(rf"(?s)\[account\.{name}\](.*?)(\n(?:# )?\[|\Z)", EXAMPLE)
        assert block
        assert set(re.findall(r"(?m)^(?:# )?(\w+) = ", block[1])) == keys_of(server)


def test_example_shows_the_real_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, "utf-8")
    as_shipped = load_config(path)
    path.write_text(re.sub(r"(?m)^# (?=\w+ = |\[)(?!password_)", "", EXAMPLE), "utf-8")
    shown = load_config(path)
    (account,) = shown.account
    assert shown.model_copy(update={"account": (account.model_copy(update={"oauth": None}),)}) == as_shipped
    assert account.oauth is not None
    plain = OAuth(provider="microsoft", client_id=account.oauth.client_id)
    assert account.oauth.model_copy(update={"token_file": ""}) == plain
    assert Path(account.oauth.token_file) == tmp_path / "oauth-pledges.json"


def test_every_problem_at_once_with_its_line(tmp_path: Path) -> None:
    text = EXAMPLE.replace('name = "Sarah Crawley"', 'name = ""').replace("[log]", '[log]\nlevle = "info"')
    text = text.replace('# since = "today"', 'since = "yesterday"').replace('# cron = "0 7 * * mon-fri"', 'cron = "7"')
    found = problems_of(text, tmp_path)
    lines = text.splitlines()
    assert len(found) == 4
    for key, problem in (("name", "coordinator.name"), ("levle", "log.levle"), ("since", "today"), ("cron", "cron")):
        (sentence,) = (one for one in found if problem in one)
        line = int(sentence.split(":")[0])
        assert lines[line - 1].startswith(key)


def test_a_problem_in_the_second_account_names_its_line(tmp_path: Path) -> None:
    second = '\n[[account]]\nname = "two"\naddress = "nobody"\n'
    found = problems_of(EXAMPLE + second, tmp_path)
    start = EXAMPLE.count("\n") + 1
    assert any(one.startswith(f"{start + 3}: account.2.address: must be one mail address") for one in found)
    assert any("account.2.imap: is missing" in one for one in found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('password_env = "MAILBOT_IMAP_PASSWORD"', ""), "imap needs one of password_env"),
        (('# security = "tls"', 'security = "none"'), "loopback addresses only"),
        (('# time_zone = "Europe/London"', 'time_zone = "Mars"'), "IANA time zone"),
        (('# url = "sqlite:///mailbot.db"', 'url = "mysql://x"'), "store.url"),
        (("[intake]", "[intake"), "not valid TOML"),
    ],
)
def test_each_mistake_has_its_sentence(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    text = EXAMPLE.replace(*change)
    assert text != EXAMPLE
    assert any(words in problem for problem in problems_of(text, tmp_path))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mailbot init"):
        load_config(tmp_path / "config.toml")


def test_ports_follow_security() -> None:
    common = {"host": "h.example", "username": "u", "password_env": "X"}
    assert [Imap(security=s, **common).port for s in ("tls", "starttls")] == [993, 143]
    assert [Smtp(security=s, **common).port for s in ("tls", "starttls")] == [465, 587]
    assert Imap(port=1993, **common).port == 1993


def server(**ways: str) -> Imap:
    return Imap(host="h.example", username="u", **ways)


def test_password_from_environment_and_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "one")
    assert password(server(password_env="SECRET")) == "one"
    monkeypatch.delenv("SECRET")
    with pytest.raises(ConfigError, match="SECRET is not set"):
        password(server(password_env="SECRET"))
    file = tmp_path / "secret"
    with pytest.raises(ConfigError, match="cannot read"):
        password(server(password_file=str(file)))
    file.write_text("two\nmore")
    assert password(server(password_file=str(file))) == "two"
    file.write_text("")
    with pytest.raises(ConfigError, match="first line"):
        password(server(password_file=str(file)))


def test_password_from_keyring() -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class InMemory(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "three" if (service, username) == ("mailbot", "u") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        assert password(server(password_keyring="mailbot")) == "three"
        with pytest.raises(ConfigError, match="keyring set other u"):
            password(server(password_keyring="other"))
    finally:
        keyring.set_keyring(before)


def test_own_files_win_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(EXAMPLE, "utf-8")
    config = load_config(tmp_path / "config.toml")
    assert config.rules_folders == (SHIPPED / "rules",)
    (tmp_path / "rules").mkdir()
    assert load_config(tmp_path / "config.toml").rules_folders == (tmp_path / "rules", SHIPPED / "rules")
    assert load_campaign((tmp_path / "rules", SHIPPED / "rules")).reference_prefix == "BSEC"


def test_templates_of_the_language_come_first(tmp_path: Path) -> None:
    text = EXAMPLE.replace('# language = "en-GB"  ', 'language = "pl-PL"')
    assert 'language = "pl-PL"' in text
    (tmp_path / "config.toml").write_text(text, "utf-8")
    own = tmp_path / "templates"
    for folder in (own / "pl", own / "de"):
        folder.mkdir(parents=True)
    folders = load_config(tmp_path / "config.toml").template_folders
    assert folders == (own / "pl", own, SHIPPED / "templates")


def test_the_shipped_campaign_has_the_four_aims() -> None:
    campaign = load_campaign([SHIPPED / "rules"])
    assert [aim.key for aim in campaign.aims] == ["awareness", "support", "alliance", "employment"]
    assert [aim.number for aim in campaign.aims] == [1, 2, 3, 4]
    assert campaign.reference(42) == "BSEC-0042"
    assert campaign.aim("support").number == 2


def test_a_broken_campaign_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(
        'name = "X"\nreference_prefix = "!"\n[[aims]]\nkey = "a"\ntitle = "A"\ntext = "t"\ncolour = "red"\n', "utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        load_campaign([tmp_path])
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [f"{path}:2", f"{path}:7"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"provider": "other"}, "needs scopes"),
        ({"provider": "other", "scopes": ["a"]}, "needs token_url"),
        ({"provider": "other", "scopes": ["a"], "token_url": "https://x.example/"}, "needs device_url"),
        ({"provider": "microsoft", "token_url": "http://x.example/"}, "token_url must begin with https://"),
        ({"provider": "google", "flow": "device"}, "browser"),
        ({"provider": "microsoft", "flow": "client_credentials"}, "needs one of client_secret_env"),
        ({"provider": "microsoft", "client_secret_env": "A", "client_secret_file": "b"}, "not several"),
    ],
)
def test_an_oauth_section_that_cannot_work_says_why(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OAuth.model_validate({"client_id": "x", **given})


def test_what_the_providers_are_asked_for() -> None:
    microsoft = OAuth(provider="microsoft", client_id="x", tenant="example.org")
    assert microsoft.endpoints.token == "https://login.microsoftonline.com/example.org/oauth2/v2.0/token"
    assert (microsoft.flow, "offline_access" in microsoft.wanted_scopes) == ("device", True)
    google = OAuth(provider="google", client_id="x")
    assert (google.flow, google.wanted_scopes) == ("browser", ("https://mail.google.com/",))
