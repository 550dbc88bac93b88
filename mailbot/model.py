"""The values that pass between stages: frozen, slotted, keyword-only. No I/O, no libraries.

Each stage is a function from one of these to the next::

    intake    -> RawMail          reading   -> Message        screening -> Screening
    classifying -> Classification   screening -> Acknowledgement   filing -> Record
    replying  -> Outgoing         reviewing -> Outgoing (the digest)

Datetimes are aware; in the store they are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class MessageClass(StrEnum):
    """What a whole message is (labelling guide, "The class of a message")."""

    CONTRIBUTION = "contribution"
    ENQUIRY = "enquiry"
    UNRELATED = "unrelated"
    AUTOMATIC = "automatic"


class ContributionType(StrEnum):
    """What one contribution is (labelling guide, "The type of a contribution")."""

    PLEDGE = "pledge"
    OFFER = "offer"
    IDEA = "idea"


class Decision(StrEnum):
    """Whether a mail is answered: now, after the coordinator's word, or not at all."""

    SEND = "send"
    HOLD = "hold"
    NEVER = "never"


class Template(StrEnum):
    """The kinds of acknowledgement; each is a pair of files in templates/ (.txt and .html)."""

    CONTRIBUTION = "contribution"
    ENQUIRY = "enquiry"
    RECEIPT = "receipt"


class OutgoingState(StrEnum):
    """The life of a row in the outbox."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    DEFERRED = "deferred"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    #: its template is broken: there is nothing to send until that is mended
    PARKED = "parked"


class OutgoingKind(StrEnum):
    """What a row in the outbox is."""

    ACKNOWLEDGEMENT = "acknowledgement"
    DIGEST = "digest"
    ALERT = "alert"
    PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One aim of the campaign, from rules/campaign.toml."""

    #: place in the campaign's list, from 1; what people say: "aim 2"
    number: int
    #: short name in rules, examples, store and JSON, such as "support"
    key: str
    #: a few words for tables and headings
    title: str
    #: the aim in full, as the campaign words it
    text: str
    #: "#rrggbb", for the digest's bars
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Who asks for contributions, and to what ends; from rules/campaign.toml."""

    #: full name, such as "Birmingham Social Enterprise City"
    name: str
    #: start of every reference: "BSEC" gives BSEC-0042
    reference_prefix: str
    #: the public page that asks for contributions; "" when there is none
    website: str
    #: in the campaign's order, at least one
    aims: tuple[Aim, ...]

    def reference(self, number: int) -> str:
        """The reference that people quote for record `number`, such as BSEC-0042."""
        return f"{self.reference_prefix}-{number:04d}"

    def aim(self, key: str) -> Aim:
        """The aim named `key`.

        Raises:
            KeyError: the campaign has no such aim.
        """
        for aim in self.aims:
            if aim.key == key:
                return aim
        raise KeyError(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a mail lies in a mailbox (RFC 3501 section 2.3.1.1)."""

    #: the configured account's name
    account: str
    #: IMAP mailbox (folder) name, decoded
    mailbox: str
    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMail:
    """A mail as the server gave it, before anything has looked inside."""

    location: Location
    #: RFC 5322 octets, untouched
    octets: bytes
    #: when the server received it (RFC 3501 INTERNALDATE), UTC
    internal_date: datetime
    #: it lies in the mailbox with the \Junk attribute (RFC 6154)
    in_junk: bool = False
    #: cut off after intake.max_size_octets; the rest is in the mailbox only
    partial: bool = False
    #: why the server does not give it, in its words; the octets are empty then
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """The last mail that was read, as the server described it: another mail under its UID means that UIDs lie."""

    uid: int
    size_octets: int
    internal_date: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a mailbox has been read."""

    account: str
    mailbox: str
    uid_validity: int
    #: the first UID that has not been read
    next_uid: int
    #: mail that the server received before this is older than our work here
    since: datetime
    #: None as long as no mail was read
    landmark: Landmark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMail:
    """Raw mail that is committed and waits to be handled."""

    #: row number in the store
    mail_id: int
    octets: bytes
    internal_date: datetime
    in_junk: bool
    #: the account that is to answer it
    account: str
    #: not answered: imported from an archive, or older than intake.since
    archive: bool = False
    #: cut off after intake.max_size_octets
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A mailbox address of RFC 5322 section 3.4."""

    #: decoded; "" when the header gave none
    display_name: str
    #: local@domain, domain in lower case
    addr_spec: str

    @property
    def domain(self) -> str:
        """The part after the last "@"; "" when there is none."""
        return self.addr_spec.rpartition("@")[2] if "@" in self.addr_spec else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A part that is neither text to read nor structure."""

    #: safe for a file system; "" when the sender gave no name (never key on it)
    filename: str
    content_type: str
    size_octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The text of a mail, taken apart. Nothing is dropped: the parts together are the whole."""

    #: what the sender wrote in this mail: no quoted mail, no signature, no footer
    own_text: str
    #: a forwarded message's text with its header lines; "" when nothing is forwarded
    forwarded_text: str = ""
    #: earlier mail quoted in this one
    quoted_text: str = ""
    #: the sender's signature block
    signature: str = ""
    #: disclaimers, unsubscribe lines, list footers
    footer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Who, where, how much and when (labelling guide, "Details"); None where the mail does not say."""

    person: str | None = None
    organisation: str | None = None
    #: E.164, such as +441214960132
    phone: str | None = None
    website: str | None = None
    postcode: str | None = None
    #: money with its currency, verbatim
    amounts: tuple[str, ...] = ()
    #: ISO 8601 when day, month and year are given, otherwise as written
    dates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRecipient:
    """A recipient that a delivery report names."""

    #: in lower case, as the reporting server has it
    addr_spec: str
    #: the server has not given up yet
    delayed: bool
    #: there is no use in writing to it again soon; False for a delay, and for a full mailbox
    permanent: bool
    #: the server's words, on one line; "" when it gave none
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What a delivery report says (RFC 3464), in whatever form it came."""

    recipients: tuple[FailedRecipient, ...]
    #: Message-ID of the mail that came back; "" when the report does not show it
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail that has been read: headers decoded, body taken apart."""

    #: with angle brackets; made from the raw hash when the mail has none
    message_id: str
    #: SHA-256, hex, of what the sender wrote: the same for every copy of one mail,
    #: whatever the servers on the way added
    content_hash: str
    #: decoded, unfolded, "" when absent
    subject: str
    #: None when From is absent or holds no usable address
    from_address: Address | None
    reply_to: tuple[Address, ...]
    #: every addr-spec in To, Cc, Bcc, Resent-To, Resent-Cc, Delivered-To and X-Original-To, lower case
    recipients: tuple[str, ...]
    #: addr-spec of Return-Path; "" for the null path <>; None when the header is absent
    return_path: str | None
    #: the Date header, UTC; None when absent or impossible
    date: datetime | None
    in_reply_to: str | None
    references: tuple[str, ...]
    #: every header in order: (name in lower case, value decoded and unfolded)
    headers: tuple[tuple[str, str], ...]
    body: Body
    #: content type of the message and every part, lower case, in order
    content_types: tuple[str, ...]
    #: report-type parameter of a multipart/report (RFC 6522), lower case
    report_type: str | None
    #: METHOD of a text/calendar part (RFC 5546), upper case
    calendar_method: str | None
    attachments: tuple[Attachment, ...]
    #: what was wrong with the mail and how it was read all the same, in words
    defects: tuple[str, ...]
    details: Details
    #: what it reports about mail of ours; None when it is no delivery report
    bounce: Bounce | None = None

    def header(self, name: str) -> str | None:
        """The first value of header `name` (any case); None when absent."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    @property
    def answerable(self) -> tuple[str, ...]:
        """Every address that an answer could go to: who changes one of them is still the same sender."""
        addresses = (self.from_address, *self.reply_to)
        found = [address.addr_spec for address in addresses if address is not None]
        return tuple(dict.fromkeys([*found, *([self.return_path] if self.return_path else [])]))

    def header_all(self, name: str) -> tuple[str, ...]:
        """Every value of header `name` (any case), topmost first."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key == wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the headers alone say about answering this mail."""

    decision: Decision
    #: number in the table of guards (docs/acknowledging.md); None when none fired
    guard: int | None
    #: the fact that decided, with the header's value, for people
    reason: str
    #: From is proved (dmarc=pass) by the account's own server
    authenticated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Words that speak for a decision."""

    #: verbatim from the quote
    text: str
    #: what they speak for, such as "offer: model" or "support: pattern workspace"
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One pledge, offer or idea found in a mail."""

    type: ContributionType
    #: keys of the campaign's aims, in the campaign's order; empty when it names nothing
    aims: tuple[str, ...]
    #: the shortest run of whole sentences, verbatim from the sender's own words
    quote: str
    #: calibrated probability that type and aims are right, 0 to 1
    confidence: float
    because: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a mail is, what it holds, and how sure that is."""

    message_class: MessageClass
    #: calibrated probability of message_class, 0 to 1
    confidence: float
    #: in the order of the text; empty unless message_class is contribution
    contributions: tuple[Contribution, ...]
    #: why a person should look; empty when nothing is in doubt
    review_reasons: tuple[str, ...]
    #: which model said so, such as "minilm-3f2a9c1d"
    model_version: str

    @property
    def needs_review(self) -> bool:
        """A person should look before this is relied on."""
        return bool(self.review_reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReply:
    """An acknowledgement that was sent, or is about to be."""

    at: datetime
    template: Template
    #: message ids of the mail that was answered and the ones it referred to
    thread: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was answered before, as far as the caps ask."""

    #: to the same address, within the longest period that a cap looks back
    to_address: tuple[PastReply, ...] = ()
    #: acknowledgements to the address's domain in the last hour
    to_domain_in_hour: int = 0
    #: acknowledgements to anybody in the last hour
    to_all_in_hour: int = 0
    #: acknowledgements to anybody that came back in the last hour
    bounced_in_hour: int = 0
    #: when one to this address last came back for good; None when none did
    bounced_at: datetime | None = None
    #: to whom the acknowledgements went that this mail refers to; lower case
    answers: tuple[str, ...] = ()


#: why mail from an archive is not answered; digests count such mail and do not list it
ARCHIVE = "no reply: archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Whether, to whom and with what this mail is answered, and why."""

    decision: Decision
    guard: int | None
    reason: str
    #: addr-spec; None when never, and when it is held because nobody can safely be answered
    to: str | None
    #: None when never
    template: Template | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A mail of ours, ready for the outbox; its octets, Message-ID included, are the same on every retry."""

    kind: OutgoingKind
    #: what it is for, unique in the outbox: "acknowledgement:<record>" or "digest:<period>"
    purpose: str
    state: OutgoingState
    message_id: str
    #: account whose SMTP server sends it
    account: str
    #: envelope sender (RFC 5321 MAIL FROM); "" is the null path <>
    envelope_from: str
    #: envelope recipient
    to: str
    octets: bytes
    template: str
    #: why it is held or failed; "" otherwise
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedOutgoing:
    """A row of the outbox that is due."""

    outgoing_id: int
    attempts: int
    created_at: datetime
    outgoing: Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One mail as filed: everything the coordinator can see about it."""

    record_id: int
    #: such as BSEC-0042
    reference: str
    message_id: str
    subject: str
    from_name: str
    from_addr_spec: str
    #: when the server received it, UTC
    received_at: datetime
    filed_at: datetime
    message_class: MessageClass
    confidence: float
    review_reasons: tuple[str, ...]
    contributions: tuple[Contribution, ...]
    details: Details
    acknowledgement: Acknowledgement
    #: the outbox's state of its acknowledgement; None when there is none
    reply_state: OutgoingState | None
    #: the server's words, or why it is held; "" otherwise
    reply_error: str
    model_version: str
    #: file names, "" for the nameless
    attachments: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()

    @property
    def needs_review(self) -> bool:
        """A person should look before this is relied on."""
        return bool(self.review_reasons)

    @property
    def who(self) -> str:
        """The sender as people would say it: the name, else the address."""
        return self.details.person or self.from_name or self.from_addr_spec or "(no sender)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedMail:
    """A mail that broke a stage and was set aside; the octets are kept."""

    mail_id: int
    #: "" when the mail could not even be read
    subject: str
    sender: str
    received_at: datetime
    #: the stage that it broke
    stage: str
    error: str
    #: mailbox and UID, so that it can be found; "" when it came from elsewhere
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReply:
    """A mail of ours that was refused or given up, with the server's words."""

    to: str
    reference: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What is laid before the coordinator for one period."""

    #: the period is start <= filed_at < end, UTC
    start: datetime
    end: datetime
    #: local date that names the period, unique
    period: date
    #: filed in the period, oldest first
    records: tuple[Record, ...]
    #: mails from an archive that were filed in the period; they are not listed
    archived: int = 0
    #: filed earlier, their replies still waiting for the coordinator's word
    held: tuple[Record, ...] = ()
    parked: tuple[ParkedMail, ...] = ()
    failed_replies: tuple[FailedReply, ...] = ()
    #: contributions for each aim key since the campaign began, this period included
    totals: tuple[tuple[str, int], ...] = ()
    #: lines about the machinery that the coordinator should know, such as a mailbox that cannot be reached
    notices: tuple[str, ...] = field(default=())
