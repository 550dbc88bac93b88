"""When a mail is answered: the ordered table of guards, and the two functions that walk it.

Owns the order, what follows from each guard, and the caps. Knows neither how a header is read (signs.py,
wording.py) nor how an address is chosen (recipient.py), nor anything of templates, store or sending.
The table in docs/acknowledging.md is this one, in words; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailbot.addresses import plain_address
from mailbot.model import (
    Acknowledgement,
    Classification,
    Decision,
    History,
    Message,
    MessageClass,
    Screening,
    Template,
)
from mailbot.screening import notices, signs, wording
from mailbot.screening.authentication import Authentication, authentication
from mailbot.screening.recipient import Recipient, choose_recipient

#: calibrated probability from which an enquiry is a person's, whatever it looks like
_SURELY = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator decided about answering; built by the composition root from the configuration."""

    #: every account's address and aliases, addr-specs; empty when unknown (mail from files), and then guard 11 rests
    own_addresses: frozenset[str] = frozenset()
    #: addresses under which accounts are polled, where they differ from the above
    polled_accounts: frozenset[str] = frozenset()
    #: whom the digest goes to; "" when unknown
    coordinator: str = ""
    #: From of the digest; "" when it is one of own_addresses
    digest_sender: str = ""
    answered_classes: frozenset[MessageClass] = frozenset({MessageClass.CONTRIBUTION, MessageClass.ENQUIRY})
    #: the same kind of answer goes to one address once in this many days,
    same_answer_days: float = 7.0
    #: or in this many, for a contribution in a thread that was not answered before
    new_thread_days: float = 1.0
    #: to one organisational domain
    per_domain_per_hour: int = 20
    per_hour: int = 100
    #: when so many came back within the hour, no more go out
    bounces_per_hour: int = 3
    #: a class less sure than this is answered with the neutral receipt, 0 to 1
    receipt_below: float = 0.6
    #: ISO 639-1 codes of the languages in which out-of-office answers are known by their wording
    languages: frozenset[str] = wording.LANGUAGES
    #: by account: whose Authentication-Results are believed (RFC 8601 section 2.5); of other accounts nobody's
    authserv_ids: Mapping[str, str] = field(default_factory=dict)
    #: an address that bounced for good is written to again after so many days
    bounced_days: float = 60.0

    def breaker(self, history: History) -> str | None:
        """Why nobody at all is answered at present: the circuit breaker; None when it is closed."""
        if history.bounced_in_hour >= self.bounces_per_hour:
            return f"{history.bounced_in_hour} answers came back within the hour"
        if history.to_all_in_hour >= self.per_hour:
            return f"{history.to_all_in_hour} answers went out within the hour"
        return None

    @property
    def inboxes(self) -> frozenset[str]:
        """The addresses at which mail reaches us, a ``+tag`` taken away."""
        return frozenset(map(plain_address, self.own_addresses | self.polled_accounts))

    @property
    def look_back(self) -> timedelta:
        """How far back the caps for one address reach."""
        return timedelta(days=max(self.same_answer_days, self.new_thread_days))

    @property
    def ours(self) -> frozenset[str]:
        """The addresses that are never answered, a ``+tag`` taken away."""
        people = {address for address in (self.coordinator, self.digest_sender) if address}
        return self.inboxes | frozenset(map(plain_address, people))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a guard can look at before anything has been classified."""

    message: Message
    #: it lies in the mailbox with the \\Junk attribute
    in_junk: bool
    authentication: Authentication
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a guard can look at once the mail is classified and an answer is in view."""

    message: Message
    classification: Classification
    history: History
    policy: Policy
    now: datetime

    @property
    def senders(self) -> frozenset[str]:
        """Every address that an answer could go to, in lower case."""
        return frozenset(address.lower() for address in self.message.answerable)

    @property
    def template(self) -> Template:
        """The answer's kind: the neutral receipt wherever a claim could be wrong."""
        if doubt(self) is not None:
            return Template.RECEIPT
        match self.classification.message_class:
            case MessageClass.CONTRIBUTION:
                return Template.CONTRIBUTION
            case MessageClass.ENQUIRY:
                return Template.ENQUIRY
            case _:
                return Template.RECEIPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One row of the table; the first that fires decides."""

    number: int
    title: str
    #: what follows, in words
    result: str
    source: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalGuard(Guard):
    """A row that needs the mail alone."""

    #: the reason, or None when it does not fire
    test: Callable[[Arrival], str | None]
    #: the decision when the mail turns out to hold a contribution anyway
    with_contribution: Decision | None = None
    #: and when it is surely a person's enquiry
    with_enquiry: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftGuard(Guard):
    """A row that needs what later stages know."""

    #: the decision when the classifier is not sure of the class
    in_doubt: Decision | None = None
    #: the reason, or None when it does not fire
    test: Callable[[Draft], str | None]


def not_answered(draft: Draft) -> str | None:
    """Guard 12: the policy answers no mail of this class."""
    found = draft.classification.message_class
    return None if found in draft.policy.answered_classes else f"mail of the class {found.value} is not answered"


def capped(draft: Draft) -> str | None:
    """Guard 13: enough has been answered, to this address, to its domain, or in all.

    Source:
        RFC 5230 section 4.2
    """
    policy, history, past = draft.policy, draft.history, draft.history.to_address
    if broken := policy.breaker(history):
        return broken
    ages = [draft.now - reply.at for reply in past if reply.template is draft.template]
    youngest = min(ages, default=timedelta.max)
    if youngest < timedelta(days=policy.same_answer_days):
        thread = {draft.message.message_id, draft.message.in_reply_to, *draft.message.references}
        fresh = draft.template is Template.CONTRIBUTION and all(thread.isdisjoint(reply.thread) for reply in past)
        if not fresh or youngest < timedelta(days=policy.new_thread_days):
            days = policy.new_thread_days if fresh else policy.same_answer_days
            on = (draft.now - youngest).date()
            return f"the {draft.template.value} answer went to this address on {on}, inside the pause of {days:g} d"
    if others := set(history.answers) - draft.senders:
        return f"it answers our acknowledgement, which went to {signs.shown(min(others))}"
    if history.to_domain_in_hour >= policy.per_domain_per_hour:
        return f"{history.to_domain_in_hour} answers went to this domain within the hour"
    return None


def bounced(draft: Draft) -> str | None:
    """Guard 14: what was sent to this address lately came back for good."""
    past = draft.history.bounced_at
    if past is None or draft.now - past >= timedelta(days=draft.policy.bounced_days):
        return None
    return f"an answer to this address came back on {past.date()}"


def doubt(draft: Draft) -> str | None:
    """Guard 15: not sure that a person wrote a contribution or an enquiry. Doubt about aims alone is none."""
    found, sure = draft.classification, draft.classification.confidence
    # Written so that a confidence that is no number counts as doubt.
    if not sure >= draft.policy.receipt_below:
        return f"the class {found.message_class.value} is only {sure:.0%} sure"
    if found.message_class is MessageClass.CONTRIBUTION and not found.contributions:
        return "the class is contribution, but no contribution could be quoted"
    return None


GUARDS: tuple[ArrivalGuard | DraftGuard, ...] = (
    ArrivalGuard(
        number=1,
        title="Return-Path is `<>` (present and empty; absence proves nothing)",
        result="never",
        source="RFC 3834 §2",
        decision=Decision.NEVER,
        test=lambda arrival: signs.null_return_path(arrival.message),
    ),
    ArrivalGuard(
        number=2,
        title="Auto-Submitted is present and not `no`",
        result="never",
        source="RFC 3834 §5",
        decision=Decision.NEVER,
        test=lambda arrival: signs.auto_submitted(arrival.message),
    ),
    ArrivalGuard(
        number=3,
        title="it is a report: of delivery, of reading, of abuse",
        result="never",
        source="RFC 6522, 3464, 8098, 5965",
        decision=Decision.NEVER,
        test=lambda arrival: signs.report(arrival.message),
    ),
    ArrivalGuard(
        number=4,
        title="From is an account or alias of ours, the coordinator or the digest; or an `X-Mailbot-*` header",
        result="never",
        source="RFC 3834 §4",
        decision=Decision.NEVER,
        test=lambda arrival: signs.from_us(arrival.message, arrival.policy.ours),
    ),
    ArrivalGuard(
        number=5,
        title="From is MAILER-DAEMON, LISTSERV, majordomo, `*-request`, `owner-*`, `*-bounces`, no-reply, or nobody",
        result="never",
        source="RFC 5230 §4.6",
        decision=Decision.NEVER,
        test=lambda arrival: signs.robot_sender(arrival.message),
    ),
    ArrivalGuard(
        number=6,
        title="List-Id, List-Help, List-Subscribe, List-Unsubscribe, List-Post, List-Owner or List-Archive",
        result="never; hold when it holds a contribution anyway",
        source="RFC 2369, 2919, 5230 §4.6",
        decision=Decision.NEVER,
        with_contribution=Decision.HOLD,
        test=lambda arrival: signs.mailing_list(arrival.message),
    ),
    ArrivalGuard(
        number=7,
        title="Precedence bulk, junk, list or auto_reply; X-Auto-Response-Suppress with All, OOF or AutoReply; "
        "X-Autoreply, X-Autorespond, X-Loop and kin",
        result="never; hold when it holds a contribution anyway",
        source="custom of mail programs",
        decision=Decision.NEVER,
        with_contribution=Decision.HOLD,
        test=lambda arrival: signs.machine_header(arrival.message),
    ),
    ArrivalGuard(
        number=8,
        title="a calendar's invitation or answer; the wording of an absence notice, a receipt, a challenge, a bounce, "
        "a newsletter or an alarm",
        result="never; hold when a person wrote it anyway",
        source="RFC 5546 §1.4",
        decision=Decision.NEVER,
        with_contribution=Decision.HOLD,
        with_enquiry=Decision.HOLD,
        test=lambda arrival: (
            signs.calendar(arrival.message)
            or wording.out_of_office(arrival.message, arrival.policy.languages)
            or notices.program_notice(arrival.message)
        ),
    ),
    ArrivalGuard(
        number=9,
        title="X-Spam-Flag YES, or it lies in the \\Junk mailbox",
        result="never",
        source="RFC 6154 §2",
        decision=Decision.NEVER,
        test=lambda arrival: signs.junk(arrival.message, in_junk=arrival.in_junk),
    ),
    ArrivalGuard(
        number=10,
        title="Authentication-Results of the account's own server: dmarc=fail, or spf and dkim both fail",
        result="hold",
        source="RFC 8601",
        decision=Decision.HOLD,
        test=lambda arrival: arrival.authentication.failed,
    ),
    ArrivalGuard(
        number=11,
        title="no address of ours in To, Cc, Bcc, Resent-To, Resent-Cc or Delivered-To",
        result="hold",
        source="RFC 5230 §4.5",
        decision=Decision.HOLD,
        test=lambda arrival: signs.not_to_us(arrival.message, inboxes) if (inboxes := arrival.policy.inboxes) else None,
    ),
    DraftGuard(
        number=12,
        title="its class is not answered (`unrelated`, `automatic`)",
        result="never; hold when the class is in doubt",
        source="configuration",
        decision=Decision.NEVER,
        in_doubt=Decision.HOLD,
        test=not_answered,
    ),
    DraftGuard(
        number=13,
        title="a cap is reached: the same kind of answer to the same address, an answer to our answer from another "
        "address, answers to one domain in an hour, answers in all in an hour, answers that came back in an hour",
        result="hold",
        source="RFC 5230 §4.2",
        decision=Decision.HOLD,
        test=capped,
    ),
    DraftGuard(
        number=14,
        title="the address bounced for good within 60 days",
        result="hold",
        source="RFC 3464",
        decision=Decision.HOLD,
        test=bounced,
    ),
    DraftGuard(
        number=15,
        title="the classifier doubts whether a person wrote a contribution or an enquiry",
        result="the neutral receipt, which claims no aim",
        source="configuration",
        decision=Decision.SEND,
        test=doubt,
    ),
)


def screen(message: Message, *, in_junk: bool, policy: Policy, account: str = "") -> Screening:
    """What the mail alone says about answering it.

    Args:
        message: read.
        in_junk: it lies in the mailbox with the \\Junk attribute.
        policy: the operator's.
        account: in which account it lies; "" for mail from files.

    Returns:
        The first guard that fires, in the table's order; send when none does.

    Source:
        docs/acknowledging.md
    """
    known = authentication(message, policy.authserv_ids.get(account))
    arrival = Arrival(message=message, in_junk=in_junk, authentication=known, policy=policy)
    for guard in GUARDS:
        if isinstance(guard, ArrivalGuard) and (reason := guard.test(arrival)):
            return Screening(decision=guard.decision, guard=guard.number, reason=reason, authenticated=known.passed)
    return Screening(
        decision=Decision.SEND,
        guard=None,
        reason="nothing in the mail speaks against an answer",
        authenticated=known.passed,
    )


def acknowledge(
    message: Message,
    screening: Screening,
    classification: Classification,
    history: History,
    policy: Policy,
    *,
    now: datetime,
) -> Acknowledgement:
    """Whether, to whom and with what the mail is answered.

    Args:
        message: read.
        screening: what `screen` said of it.
        classification: what it is and holds.
        history: earlier answers to the address that `choose_recipient` gives for it, to that address's
            domain, and in all.
        policy: the operator's, the same as for `screen`.
        now: aware.

    Returns:
        The decision. `to` is None when never, and when held because nobody can be answered safely.

    Source:
        docs/acknowledging.md
    """
    draft = Draft(message=message, classification=classification, history=history, policy=policy, now=now)
    verdict = _settled(screening, draft)
    if verdict.decision is Decision.NEVER:
        return Acknowledgement(
            decision=Decision.NEVER, guard=verdict.guard, reason=verdict.reason, to=None, template=None
        )
    recipient = choose_recipient(message, ours=policy.ours, authenticated=screening.authenticated)
    return Acknowledgement(
        decision=Decision.HOLD if recipient.addr_spec is None else verdict.decision,
        guard=verdict.guard,
        reason=_reason(verdict, recipient),
        to=recipient.addr_spec,
        template=draft.template,
    )


def _settled(screening: Screening, draft: Draft) -> Screening:
    """The verdict of the whole table: the screening's, or that of the rows that need the classification."""
    if screening.decision is Decision.HOLD and (reason := not_answered(draft)):
        # What is not answered in any case is not worth the coordinator's word: most forgeries are spam.
        return Screening(decision=Decision.NEVER, guard=12, reason=f"{reason}; and {screening.reason}")
    if screening.guard is None:
        for guard in GUARDS:
            if isinstance(guard, DraftGuard) and (reason := guard.test(draft)):
                if guard.in_doubt and (unsure := doubt(draft)):
                    return Screening(decision=guard.in_doubt, guard=guard.number, reason=f"{reason}, but {unsure}")
                return Screening(decision=guard.decision, guard=guard.number, reason=reason)
        return screening
    fired = next((guard for guard in GUARDS if guard.number == screening.guard), None)
    if isinstance(fired, ArrivalGuard) and (anyway := _anyway(fired, draft.classification)):
        decision, what = anyway
        return Screening(decision=decision, guard=fired.number, reason=f"{screening.reason}; {what}")
    return screening


def _anyway(fired: ArrivalGuard, found: Classification) -> tuple[Decision, str] | None:
    """What follows from a guard when the mail holds a person's words all the same; None when nothing else does."""
    if fired.with_contribution and found.contributions:
        return fired.with_contribution, "it holds a contribution all the same"
    if fired.with_enquiry and found.message_class is MessageClass.ENQUIRY and found.confidence >= _SURELY:
        return fired.with_enquiry, "it is a person's enquiry all the same"
    return None


def _reason(verdict: Screening, recipient: Recipient) -> str:
    """Why, for people: the guard's reason where one fired, and the address's where that decides too."""
    if verdict.guard is None:
        return recipient.reason
    return verdict.reason if recipient.addr_spec is not None else f"{verdict.reason}; {recipient.reason}"
