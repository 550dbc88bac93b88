"""Addresses: what two spellings of one mailbox share, and two mailboxes of one organisation.

Owns the comparison of addr-specs. Must not know mails, or what follows from a comparison.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

#: organisational domains at which anybody can have a mailbox
_PROVIDERS = """
aol.com aol.co.uk bigpond.com blueyonder.co.uk btinternet.com btopenworld.com comcast.net duck.com fastmail.com
fastmail.fm free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hey.com hotmail.co.uk
hotmail.com hotmail.de hotmail.es hotmail.fr hushmail.com icloud.com inbox.com interia.pl laposte.net libero.it
live.co.uk live.com live.fr mac.com mail.com mail.ru me.com msn.com naver.com ntlworld.com o2.pl onet.pl orange.fr
outlook.com outlook.de outlook.es outlook.fr pm.me posteo.de proton.me protonmail.ch protonmail.com qq.com
rediffmail.com rocketmail.com sky.com sfr.fr t-online.de talktalk.net tiscali.co.uk tuta.com tutanota.com
verizon.net virgin.net virginmedia.com wanadoo.fr web.de wp.pl yahoo.co.in yahoo.co.uk yahoo.com yahoo.de yahoo.es
yahoo.fr yandex.com yandex.ru ymail.com zoho.com 126.com 163.com
"""
_FOR_EVERYBODY = frozenset(_PROVIDERS.split())


def plain_address(addr_spec: str) -> str:
    """The address without its case and its ``+tag``: what two spellings of one mailbox share.

    Source:
        RFC 5233 section 1 (subaddresses)
    """
    local, at, domain = addr_spec.strip().lower().rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain.rstrip('.')}"


def same_organisation(one: str, other: str) -> bool:
    """Two addr-specs belong to the same organisational domain, and that is one organisation's.

    At a provider of mailboxes for everybody two addresses are two strangers.

    Source:
        RFC 7489 section 3.2, with the public suffix list, its private section included
    """
    first, second = organisational_domain(one), organisational_domain(other)
    return first != "" and first == second and first not in _FOR_EVERYBODY


def organisational_domain(addr_spec: str) -> str:
    """The registered domain above an addr-spec, such as ``x.co.uk`` for ``a@mail.x.co.uk``; "" for none."""
    _, at, domain = addr_spec.rpartition("@")
    domain = domain.strip().rstrip(".").lower()
    # Bounded as in RFC 5321 section 4.5.3.1.2: Python's idna codec takes quadratic time.
    if not at or not 0 < len(domain) <= 255:
        return ""
    return _registered(domain)


@lru_cache(maxsize=4096)
def _registered(domain: str) -> str:
    with suppress(UnicodeError):  # no name of the DNS is compared as it is written
        domain = domain.encode("idna").decode("ascii")
    return _suffixes().privatesuffix(domain) or domain


@cache
def _suffixes() -> PublicSuffixList:
    """The bundled list, read when the first mail is to be answered: it takes a moment."""
    return PublicSuffixList()
