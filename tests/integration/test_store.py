"""The store's contract, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from mailbot.campaign import load_campaign
from mailbot.config import SHIPPED
from mailbot.errors import StoreProblem
from mailbot.filing import Store
from mailbot.filing.database import open_engine
from mailbot.filing.schema import metadata
from mailbot.model import (
    Acknowledgement,
    Attachment,
    Bounce,
    Classification,
    Contribution,
    ContributionType,
    Cursor,
    Decision,
    Details,
    Evidence,
    FailedRecipient,
    Location,
    Message,
    MessageClass,
    Outgoing,
    OutgoingKind,
    OutgoingState,
    RawMail,
    Template,
)
from tests.unit.factories import make_message

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CAMPAIGN = load_campaign([SHIPPED / "rules"])


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mailbot.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, CAMPAIGN, now=NOW)
    yield store
    store.close()


def raw(uid: int, octets: bytes = b"", *, mailbox: str = "INBOX", uid_validity: int = 1) -> RawMail:
    return RawMail(
        location=Location(account="a", mailbox=mailbox, uid_validity=uid_validity, uid=uid),
        octets=octets or b"Subject: %d\r\n\r\nx" % uid,
        internal_date=NOW,
    )


def cursor(next_uid: int) -> Cursor:
    return Cursor(account="a", mailbox="INBOX", uid_validity=1, next_uid=next_uid, since=NOW)


CLASSIFICATION = Classification(
    message_class=MessageClass.CONTRIBUTION,
    confidence=0.91,
    contributions=(
        Contribution(
            type=ContributionType.PLEDGE,
            aims=("awareness", "support"),
            quote="We give you the hall.",
            confidence=0.8,
            because=(Evidence(text="give", why="pledge: model"),),
        ),
        Contribution(type=ContributionType.IDEA, aims=(), quote="Why not?", confidence=0.4),
    ),
    review_reasons=("the aim is in doubt",),
    model_version="test-1",
)
SEND = Acknowledgement(
    decision=Decision.SEND,
    guard=None,
    reason="a person wrote it",
    to="amina@haven.example",
    template=Template.CONTRIBUTION,
)


def outgoing(purpose: str = "acknowledgement:BSEC-0001", state: OutgoingState = OutgoingState.QUEUED) -> Outgoing:
    return Outgoing(
        kind=OutgoingKind.ACKNOWLEDGEMENT,
        purpose=purpose,
        state=state,
        message_id="<ack.1@x.example>",
        account="a",
        envelope_from="x@x.example",
        to="Amina@haven.example",
        octets=b"raw",
        template="contribution",
    )


def file_one(store: Store, *, message_id: str = "<m1@haven.example>", now: datetime = NOW) -> int:
    message = make_message(
        message_id=message_id,
        in_reply_to="<m0@haven.example>",
        details=Details(person="Amina", amounts=("£5",), dates=("2026-03-02", "Easter")),
        attachments=(Attachment(filename="plan.pdf", content_type="application/pdf", size_octets=5),),
        defects=("odd",),
    )
    with store.write() as tx:
        number = tx.records.next_number()
        record_id = tx.records.file(
            number, message, CLASSIFICATION, SEND, account="a", received_at=NOW, partial=True, now=now
        )
        tx.outbox.put(outgoing(f"acknowledgement:{number}"), record_id=record_id, now=now)
    return record_id


def test_schema_equals_sum_of_migrations(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_opening_again_keeps_everything(store: Store, url: str) -> None:
    file_one(store)
    again = Store(url, CAMPAIGN)
    with again.read() as tx:
        assert tx.records.count() == 1
        assert tx.journal.digest_start() == NOW
    again.close()


def test_saves_each_mail_once_wherever_it_is_seen(store: Store) -> None:
    with store.write() as tx:
        assert tx.mails.save([raw(1), raw(2)], now=NOW) == 2
        assert tx.mails.save([raw(2)], now=NOW) == 0
        assert tx.mails.save([raw(9, raw(1).octets, mailbox="Junk", uid_validity=7)], now=NOW) == 0
        assert [mail.octets for mail in tx.mails.pending(10, 10_000_000)] == [raw(1).octets, raw(2).octets]
        assert len(tx.mails.pending(1, 10_000_000)) == 1


def test_a_uid_given_out_twice_holds_both_mails(store: Store) -> None:
    with store.write() as tx:
        tx.mails.save([raw(1, b"first")], now=NOW)
        assert tx.mails.save([raw(1, b"second")], now=NOW) == 1
        assert len(tx.mails.pending(10, 10_000_000)) == 2


def test_mail_and_cursor_are_kept_together_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        tx.mails.save([raw(1)], now=NOW)
        tx.mails.move_cursor(cursor(2))
        raise RuntimeError
    with store.write() as tx:
        assert tx.mails.cursor("a", "INBOX") is None
        assert tx.mails.pending(1, 10_000_000) == ()
        tx.mails.move_cursor(cursor(2))
        tx.mails.move_cursor(cursor(5))
    with store.read() as tx:
        assert tx.mails.cursor("a", "INBOX") == cursor(5)


def test_old_mail_is_marked_as_archive(store: Store) -> None:
    with store.write() as tx:
        tx.mails.save([raw(1)], now=NOW, archive_before=NOW + timedelta(days=1))
        assert [mail.archive for mail in tx.mails.pending(1, 10_000_000)] == [True]


def test_parked_mail_is_shown_and_can_be_run_again(store: Store) -> None:
    with store.write() as tx:
        tx.mails.save([raw(7)], now=NOW)
        mail_id = tx.mails.pending(1, 10_000_000)[0].mail_id
        tx.mails.park(mail_id, stage="reading", error="broken", subject="s", sender="a@b.example", now=NOW)
        assert tx.mails.pending(1, 10_000_000) == ()
        parked = tx.mails.parked()
        assert [(p.stage, p.error, p.subject, p.sender, p.where) for p in parked] == [
            ("reading", "broken", "s", "a@b.example", "INBOX, UID 7")
        ]
        assert tx.mails.unpark() == 1
        assert [mail.mail_id for mail in tx.mails.pending(1, 10_000_000)] == [mail_id]
        assert tx.mails.parked() == ()


def test_a_record_comes_back_as_it_was_filed(store: Store) -> None:
    file_one(store)
    with store.read() as tx:
        record = tx.records.get(1)
    assert record is not None
    assert record.reference == "BSEC-0001"
    assert record.contributions == CLASSIFICATION.contributions
    assert record.details == Details(person="Amina", amounts=("£5",), dates=("2026-03-02", "Easter"))
    assert record.review_reasons == CLASSIFICATION.review_reasons
    assert record.acknowledgement == SEND
    assert record.reply_state is OutgoingState.QUEUED
    assert record.attachments == ("plan.pdf",)
    assert record.defects[0] == "odd" and "max_size_octets" in record.defects[1]
    assert record.received_at == NOW


def test_the_same_mail_is_found_by_id_and_content(store: Store) -> None:
    record_id = file_one(store)
    with store.read() as tx:
        assert tx.records.find("<m1@haven.example>", "0" * 64) == record_id
        assert tx.records.find("<m1@haven.example>", "1" * 64) is None


def test_one_record_for_one_mail_is_kept_by_the_schema(store: Store) -> None:
    file_one(store)
    with pytest.raises(StoreProblem):
        file_one(store)
    with store.read() as tx:
        assert tx.records.count() == 1


def test_numbers_have_no_gaps(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        assert tx.records.next_number() == 1
        raise RuntimeError
    with store.write() as tx:
        assert tx.records.next_number() == 1
        assert tx.records.next_number() == 2


def test_lists_by_aim_class_and_review(store: Store) -> None:
    file_one(store)
    with store.read() as tx:
        assert len(tx.records.latest(10)) == 1
        assert len(tx.records.latest(10, aim="support", message_class=MessageClass.CONTRIBUTION, review=True)) == 1
        assert tx.records.latest(10, aim="alliance") == ()
        assert tx.records.latest(10, message_class=MessageClass.ENQUIRY) == ()
        assert dict(tx.records.totals()) == {"awareness": 1, "support": 1, "alliance": 0, "employment": 0}


def test_a_period_holds_its_start_and_not_its_end(store: Store) -> None:
    file_one(store)
    with store.read() as tx:
        assert len(tx.records.between(NOW, NOW + timedelta(seconds=1))) == 1
        assert tx.records.between(NOW - timedelta(days=1), NOW) == ()


def test_the_outbox_serves_a_purpose_once(store: Store) -> None:
    with store.write() as tx:
        first = tx.outbox.put(outgoing(), record_id=None, now=NOW)
        assert tx.outbox.put(outgoing(), record_id=None, now=NOW) == first
        assert len(tx.outbox.due(NOW, 10, account="a")) == 1
        assert tx.outbox.due(NOW, 10, account="b") == ()


def test_the_life_of_a_reply(store: Store) -> None:
    with store.write() as tx:
        row = tx.outbox.put(outgoing(), record_id=None, now=NOW)
        assert tx.outbox.sending(row, now=NOW)
        assert not tx.outbox.sending(row, now=NOW)  # another worker has the lease
        assert tx.outbox.due(NOW + timedelta(days=1), 10, account="a") == ()
        assert tx.outbox.take_up(NOW + timedelta(minutes=9)) == 0
        assert tx.outbox.take_up(NOW, alone=True) == 1
        (due,) = tx.outbox.due(NOW, 10, account="a")
        assert (due.attempts, due.outgoing.message_id) == (1, "<ack.1@x.example>")
        tx.outbox.deferred(row, reason="451 later", next_attempt_at=NOW + timedelta(minutes=1))
        assert tx.outbox.due(NOW, 10, account="a") == ()
        assert len(tx.outbox.due(NOW + timedelta(minutes=1), 10, account="a")) == 1
        tx.outbox.failed(row, reason="550 no such user", now=NOW)
        assert [failure.error for failure in tx.outbox.failures(NOW, NOW + timedelta(seconds=1))] == [
            "550 no such user"
        ]
        tx.outbox.sent(row, now=NOW)
        assert tx.outbox.counts() == {OutgoingState.SENT: 1}


def test_an_address_is_written_to_as_it_is(store: Store) -> None:
    """The part before the @ may tell capitals apart (RFC 5321 section 2.4); only the caps do not."""
    with store.write() as tx:
        tx.outbox.put(outgoing(), record_id=None, now=NOW)
        assert tx.outbox.due(NOW, 1, account="a")[0].outgoing.to == "Amina@haven.example"


def test_held_mail_is_never_due(store: Store) -> None:
    with store.write() as tx:
        tx.outbox.put(outgoing(state=OutgoingState.HELD), record_id=None, now=NOW)
        assert tx.outbox.due(NOW + timedelta(days=9), 10, account="a") == ()


def from_address(addr_spec: str, **more: Any) -> Message:
    return make_message(sender=addr_spec, **more)


def test_a_bounce_finds_what_came_back(store: Store) -> None:
    """By the tag in our envelope address, by Message-ID, by recipient; a delay and a full mailbox do less."""

    def report(words: str = "550 5.1.1 no such user", message_id: str = "", **kinds: bool) -> Bounce:
        failed = FailedRecipient(
            addr_spec="amina@haven.example",
            delayed=kinds.get("delayed", False),
            permanent=kinds.get("permanent", True),
            words=words,
        )
        return Bounce(recipients=(failed,), message_id=message_id)

    def state() -> dict[OutgoingState, int]:
        return tx.outbox.counts()

    tagged = "sarah+b.0123456789abcdef@x.example"
    file_one(store)
    later, week = NOW + timedelta(minutes=5), timedelta(days=7)
    with store.write() as tx:
        row = tx.outbox.due(NOW, 1, account="a")[0].outgoing_id
        tx.outbox.sent(row, now=NOW)
        assert tx.outbox.bounced(report("4.4.1 later", delayed=True, permanent=False), [], now=later) == (
            "the answer to BSEC-0001"
        )
        assert state() == {OutgoingState.SENT: 1}
        tx.outbox.bounced(report("552 5.2.2 full", permanent=False), [], now=later)
        assert state() == {OutgoingState.BOUNCED: 1}
        history = tx.outbox.history(from_address("amina@haven.example"), now=later, look_back=week)
        assert (history.bounced_at, history.bounced_in_hour, len(history.to_address)) == (None, 1, 1)
        tx.outbox.bounced(report(message_id="<ack.1@x.example>"), [], now=later)
        history = tx.outbox.history(from_address("amina@haven.example"), now=later, look_back=week)
        assert history.bounced_at == later
        assert [failure.error for failure in tx.outbox.failures(NOW, later + week)] == ["550 5.1.1 no such user"]
        assert tx.outbox.bounced(report(), [tagged], now=NOW + timedelta(days=9)) is None
        tx.outbox.put(
            replace(outgoing(), purpose="digest:1", envelope_from=tagged, kind=OutgoingKind.DIGEST),
            record_id=None,
            now=NOW,
        )
        assert tx.outbox.bounced(report(), [tagged], now=NOW + timedelta(days=9)) == "the digest"


def test_an_answer_to_an_answer_is_known(store: Store) -> None:
    file_one(store)
    with store.read() as tx:
        refers = from_address("zoe@y.example", in_reply_to="<ack.1@x.example>")
        found = tx.outbox.history(refers, now=NOW, look_back=timedelta(days=7))
        assert found.answers == ("amina@haven.example",)


def test_history_counts_address_domain_and_all(store: Store) -> None:
    file_one(store)
    with store.read() as tx:
        week = timedelta(days=7)
        history = tx.outbox.history(
            from_address("AMINA+x@haven.example"), now=NOW + timedelta(minutes=1), look_back=week
        )
        assert [reply.template for reply in history.to_address] == [Template.CONTRIBUTION]
        assert history.to_address[0].thread == {"<m1@haven.example>", "<m0@haven.example>"}
        assert (history.to_domain_in_hour, history.to_all_in_hour) == (1, 1)
        other = tx.outbox.history(from_address("zoe@haven.example"), now=NOW + timedelta(hours=2), look_back=week)
        assert (other.to_address, other.to_domain_in_hour, other.to_all_in_hour) == ((), 0, 0)


def test_digests_follow_each_other_without_a_gap(store: Store) -> None:
    end = NOW + timedelta(days=1)
    with store.write() as tx:
        assert tx.journal.digest_start() == NOW
        tx.journal.digest_made(NOW, end, None)
        assert tx.journal.digest_start() == end
    with pytest.raises(StoreProblem), store.write() as tx:
        tx.journal.digest_made(NOW, end, None)


def test_a_notice_keeps_its_beginning(store: Store) -> None:
    with store.write() as tx:
        tx.journal.note("imap:a", "no answer", now=NOW)
        tx.journal.note("imap:a", "refused", now=NOW + timedelta(hours=1))
        assert tx.journal.notices() == (("refused", NOW),)
        tx.journal.clear("imap:a")
        assert tx.journal.notices() == ()


def test_one_worker_at_a_time(store: Store, url: str) -> None:
    other = Store(url, CAMPAIGN)
    with store.exclusive(), pytest.raises(StoreProblem, match="another mailbot"), other.exclusive():
        pass
    with other.exclusive():
        assert True
    other.close()


def test_raw_mail_stays_with_its_record(store: Store) -> None:
    with store.write() as tx:
        tx.mails.save([raw(1)], now=NOW)
        mail_id = tx.mails.pending(1, 10_000_000)[0].mail_id
    record_id = file_one(store)
    with store.write() as tx:
        tx.mails.filed(mail_id, record_id)
        assert tx.mails.octets_of_record(record_id) == raw(1).octets
        assert tx.outbox.octets_for(record_id) == b"raw"


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match=r"store\.url"):
        Store(f"sqlite:///{tmp_path / 'missing' / 'x.db'}", CAMPAIGN)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database, it is a letter to nobody in particular" * 50)
    with pytest.raises(StoreProblem, match="not a database"):
        Store(f"sqlite:///{tmp_path / 'x.db'}", CAMPAIGN)


@pytest.mark.usefixtures("store")
def test_a_newer_schema_is_refused(url: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreProblem, match="another version"):
        Store(url, CAMPAIGN)
