"""To whom an acknowledgement goes: one address, chosen so that a forged one is never written to.

Owns the choice between From, Reply-To and Return-Path. Knows nothing of guards, of what the mail says,
or of how authentication was established.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from mailbot.addresses import plain_address, same_organisation
from mailbot.model import Message
from mailbot.screening.signs import robot_address, shown, usable_address

#: local parts that a relay makes for bounces only: SRS (forwarders), BATV, and VERP, which writes the
#: recipient into the sender as name=domain
_FOR_BOUNCES = re.compile(r"srs[01][-+=].*|prvs=.*|.+=.+\..+", re.IGNORECASE | re.DOTALL)

#: what a list's software adds (RFC 2369, RFC 2919); the Return-Path is then the list's own, however it is spelt
_LIST_HEADERS = (
    "list-id",
    "list-post",
    "list-unsubscribe",
    "list-help",
    "list-subscribe",
    "list-owner",
    "list-archive",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where an acknowledgement would go."""

    #: None when no address can be trusted
    addr_spec: str | None
    #: why this address, or why none; for people
    reason: str


def choose_recipient(message: Message, *, ours: Collection[str], authenticated: bool = False) -> Recipient:
    """The one address that may be answered.

    From is vouched for when it is authenticated, when Return-Path is the same or lies in the same
    organisational domain (a VERP or department address), and when there is no Return-Path at all: then
    the mail reached the mailbox without a final delivery, and absence proves nothing. A From that is
    vouched for may hand over to a Reply-To in its own organisational domain, or anywhere when
    authenticated. A From that is not vouched for cannot: it may be the forged part.

    Args:
        message: the mail to answer.
        ours: our own addr-specs, lower case, a ``+tag`` taken away; never chosen.
        authenticated: the configured server found dmarc=pass for From.

    Returns:
        The address, or None with the reason.

    Source:
        RFC 3834 section 4; RFC 7489 section 3.1 (relaxed alignment)
    """
    sender = message.from_address.addr_spec if message.from_address else ""
    if not usable_address(sender):
        return Recipient(addr_spec=None, reason="From holds no usable address")
    path = message.return_path
    if path is not None and not authenticated and not same_organisation(sender, path):
        if any(message.header(name) is not None for name in _LIST_HEADERS):
            return Recipient(
                addr_spec=None, reason="nobody to answer: it came by a list, whose Return-Path takes bounces"
            )
        return _unless_unfit(path, ours, "Return-Path, because it vouches for no other", relayed=True)
    for address in message.reply_to:
        if plain_address(address.addr_spec) == plain_address(sender):
            break
        if authenticated or same_organisation(sender, address.addr_spec):
            return _unless_unfit(address.addr_spec, ours, "Reply-To, which From vouches for")
    if authenticated:
        why = "From, which is authenticated"
    elif path is None:
        why = "From; there is no Return-Path to compare"
    else:
        why = "From, which Return-Path vouches for"
    return _unless_unfit(sender, ours, why)


def _unless_unfit(addr_spec: str, ours: Collection[str], why: str, *, relayed: bool = False) -> Recipient:
    """`addr_spec`, unless an answer to it would come back to us or reach nobody."""
    if not usable_address(addr_spec):
        problem = "is no usable address"
    elif plain_address(addr_spec) in ours:
        problem = "is an address of our own"
    elif robot_address(addr_spec):
        problem = "belongs to a program"
    elif relayed and _FOR_BOUNCES.fullmatch(addr_spec.rpartition("@")[0]):
        problem = "takes bounces only"
    else:
        return Recipient(addr_spec=addr_spec, reason=f"answered to {why}")
    return Recipient(addr_spec=None, reason=f"nobody to answer: {shown(addr_spec)} ({why}) {problem}")
