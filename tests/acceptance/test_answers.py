"""What becomes of an answer that does not simply go out: parked, held, rehearsed in a dry run, looked at beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailbot.model import Decision, OutgoingState
from tests.acceptance.commands import mailbot
from tests.acceptance.deployment import parsed
from tests.acceptance.mailbots import Mailbot, says

PLEDGE = "We will take on two apprentices from Ladywood in our kitchen this autumn. It is settled."
#: what makes a mail one that nobody can safely answer: a Return-Path for bounces only, and nothing vouches for From
UNSAFE = {"Return_Path": "srs0=x=y=z@relay.example"}


def test_a_broken_template_parks_the_answer_and_retry_writes_it(start: Callable[..., Mailbot]) -> None:
    # The folder is looked for when mailbot starts, the templates in it whenever they have changed.
    bot = start(templates={"contribution.txt": "Thank you, {{ name }}.\n"})
    path = bot.deployment.folder / "templates" / "contribution.txt"
    path.write_text("Thank you.\n{{ no_such_value }}\n", "utf-8")
    bot.receive(says("amina@haven.example", "Apprentices", PLEDGE, Message_ID="<m1@haven.example>"))
    assert bot.once() == []
    (record,) = bot.records
    # Filed, with file and line for whoever edits templates.
    assert [each.type for each in record.contributions]
    assert record.reply_state is OutgoingState.PARKED
    assert f"{path}, line 2" in record.reply_error
    shown = mailbot("show", record.reference, "-c", bot.deployment.config).out
    assert "not written" in shown and "line 2" in " ".join(shown.split())

    # Nothing is written as long as it is broken, and nothing is lost.
    broken = mailbot("retry", "-c", bot.deployment.config)
    assert broken.code == 2 and "line 2" in broken.err
    path.write_text("Thank you, {{ name }}.\n", "utf-8")
    mended = mailbot("retry", "-c", bot.deployment.config)
    assert (mended.code, mended.out) == (
        0,
        "0 parked mails will be handled again, 1 parked answer is written.\n",
    )
    (sent,) = bot.once()
    assert sent.recipients == ("amina@haven.example",)
    assert parsed(sent).get_body(("plain",)).get_content().startswith("Thank you")  # type: ignore[union-attr]
    assert bot.records[0].reply_state is OutgoingState.SENT


def test_an_answer_without_a_safe_address_is_held_and_listed(start: Callable[..., Mailbot]) -> None:
    bot = start()
    bot.receive(says("amina@haven.example", "Apprentices", PLEDGE, Message_ID="<m1@haven.example>", **UNSAFE))
    assert bot.once() == []
    (record,) = bot.records
    assert (record.acknowledgement.decision, record.acknowledgement.to) == (Decision.HOLD, None)
    config = bot.deployment.config
    listed = mailbot("held", "-c", config)
    assert record.reference in listed.out and "nobody can safely be answered" in listed.out
    refused = mailbot("release", record.reference, "-c", config)
    assert refused.code == 2 and "write to them yourself" in refused.err
    assert mailbot("held", "-c", config).out == listed.out
    assert mailbot("drop", record.reference, "-c", config).code == 0
    assert mailbot("held", "-c", config).out == "Nothing is held.\n"
    assert bot.once() == []


def test_held_answers_go_or_are_dropped_by_a_word(start: Callable[..., Mailbot]) -> None:
    bot = start()
    for number, name in enumerate(["ann", "ben", "cat"], start=1):
        # Addressed to nobody of ours: perhaps passed on, perhaps not meant for us.
        address = f"{name}@haven{number}.example"
        bot.receive(
            says(address, "Apprentices", PLEDGE, Message_ID=f"<m{number}@haven.example>", To="others@x.example")
        )
    assert bot.once() == []
    config = bot.deployment.config
    listed = mailbot("held", "--json", "-c", config).lines
    references = [each["reference"] for each in listed]
    assert len(references) == 3 and all(each["reply"]["state"] == "held" for each in listed)
    released = mailbot("release", *references[:2], "-c", config)
    assert released.out.splitlines() == [
        f"{references[0]}: it will be sent to ann@haven1.example.",
        f"{references[1]}: it will be sent to ben@haven2.example.",
    ]
    assert mailbot("drop", references[2], "-c", config).code == 0
    assert [mail.recipients for mail in bot.once()] == [("ann@haven1.example",), ("ben@haven2.example",)]
    again = mailbot("release", references[2], "-c", config)
    assert again.code == 2 and "cancelled" in again.err
    assert bot.once() == []


def test_a_dry_run_does_everything_but_send(start: Callable[..., Mailbot]) -> None:
    bot = start(dry_run=True)
    bot.receive(says("amina@haven.example", "Apprentices", PLEDGE, Message_ID="<m1@haven.example>"))
    assert bot.once() == []
    (record,) = bot.records
    assert record.reply_state is OutgoingState.HELD
    assert record.acknowledgement.reason == "dry run: nothing is sent"
    config = bot.deployment.config
    # What would be sent can be looked at, and sent after all.
    shown = mailbot("preview", record.reference, "-c", config)
    assert shown.code == 0 and "To: amina@haven.example" in shown.out and "dry run" in shown.err
    assert bot.sink.messages == []


def test_preview_of_a_filed_mail_is_what_was_sent(start: Callable[..., Mailbot], tmp_path: Path) -> None:
    bot = start()
    bot.receive(says("amina@haven.example", "Apprentices", PLEDGE, Message_ID="<m1@haven.example>"))
    (sent,) = bot.once()
    config, (record,) = bot.deployment.config, bot.records
    assert mailbot("preview", record.reference, "--raw", "-c", config).octets == sent.octets
    page = tmp_path / "page.html"
    assert mailbot("preview", record.reference, "--html", page, "-c", config).code == 0
    html = parsed(sent).get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert page.read_text("utf-8") == html.replace("\r\n", "\n")


def test_preview_of_a_file_is_what_would_be_sent(start: Callable[..., Mailbot], tmp_path: Path) -> None:
    bot = start()
    mail = tmp_path / "mail.eml"
    mail.write_bytes(says("amina@haven.example", "Apprentices", PLEDGE, Message_ID="<m1@haven.example>"))
    shown = mailbot("preview", mail, "-c", bot.deployment.config)
    assert shown.code == 0, shown.err
    assert "this would be sent to amina@haven.example" in shown.err
    assert "To: amina@haven.example\n" in shown.out and "two apprentices" in shown.out
    assert bot.records == () and bot.once() == []
    mail.write_bytes(says("noreply@haven.example", "Apprentices", PLEDGE))
    silent = mailbot("preview", mail, "-c", bot.deployment.config)
    assert (silent.code, silent.out) == (0, "") and "nobody would be answered" in silent.err
    missing = mailbot("preview", tmp_path / "nothing.eml", "-c", bot.deployment.config)
    assert missing.code == 1 and "No such file" in missing.err


@pytest.mark.parametrize("kind", ["contribution", "enquiry", "receipt"])
def test_preview_of_an_example_has_the_deployments_own_words(start: Callable[..., Mailbot], kind: str) -> None:
    bot = start(templates={"about.txt": "Our own words.\n"})
    shown = mailbot("preview", "--kind", kind, "-c", bot.deployment.config)
    assert shown.code == 0, shown.err
    assert "Hello A Person," in shown.out and "Our own words." in shown.out
    assert ("Your offer" in shown.out) == (kind == "contribution")
