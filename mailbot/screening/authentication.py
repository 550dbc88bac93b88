"""What our own mail server found out about a mail's sender: the Authentication-Results that may be believed.

Owns the reading of that header. Must not know what follows from a result.

Anybody can write this header into a mail. Only results under the authserv-id of the account's own server count, since
it removes those that came from outside (RFC 8601 section 5); and among these a pass counts in the topmost header only,
which that server wrote last. A forged failure harms nobody but its forger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from authres import AuthenticationResultsHeader

from mailbot.model import Message
from mailbot.screening.signs import shown

_HEADER = "authentication-results"
#: longest header value that is read, and so many headers at most
_READ = 4_000
_MOST = 10
_SPF_FAILED = frozenset({"fail", "hardfail", "softfail"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What is known of the sender."""

    #: DMARC passed for the domain of From
    passed: bool = False
    #: what failed, for people; None when nothing did
    failed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    method: str
    result: str
    #: such as {"header.from": "a.example"}
    properties: dict[str, str]


def authentication(message: Message, authserv_id: str | None) -> Authentication:
    """What the account's server says about the sender of a mail.

    Args:
        message: read.
        authserv_id: as it stands in the results of the account's own server; None believes nobody.

    Source:
        RFC 8601 sections 2.2 and 5; RFC 7489 section 6.6 (DMARC passes when SPF or DKIM passes and is aligned)
    """
    if not authserv_id:
        return Authentication()
    found = list(_believed(message, authserv_id))
    if not found:
        return Authentication()
    # Topmost first: of several results of one method the first header's count. Below it, what passes may be forged.
    first: dict[str, list[_Result]] = {}
    for number, results in enumerate(found):
        for method in {one.method for one in results} - first.keys():
            of_method = [one for one in results if one.method == method]
            if number == 0 or all(one.result != "pass" for one in of_method):
                first[method] = of_method
    return Authentication(passed=_passed(message, found[0]), failed=_failed(first))


def authserv_id_of(value: str) -> str:
    """Whose results an Authentication-Results header holds; "" when that cannot be read.

    Source:
        RFC 8601 section 2.5
    """
    try:
        header = AuthenticationResultsHeader.parse(f"Authentication-Results: {' '.join(value[:_READ].split())}")
    except Exception:
        return ""
    return header.authserv_id or ""


def _believed(message: Message, authserv_id: str) -> Iterator[list[_Result]]:
    for value in message.header_all(_HEADER)[:_MOST]:
        try:
            header = AuthenticationResultsHeader.parse(f"Authentication-Results: {value[:_READ]}")
        except Exception:  # noqa: S112 - it raises what it likes on hostile headers; what is unreadable proves nothing
            continue
        if (header.authserv_id or "").casefold() == authserv_id.casefold():
            yield [
                _Result(
                    method=str(one.method).casefold(),
                    result=str(one.result).casefold(),
                    properties={f"{each.type}.{each.name}".casefold(): str(each.value) for each in one.properties},
                )
                for one in header.results
                if one.method
            ]


def _passed(message: Message, topmost: Sequence[_Result]) -> bool:
    dmarc = [one for one in topmost if one.method == "dmarc"]
    if not dmarc or message.from_address is None or len(message.header_all("from")) != 1:
        return False
    domain = message.from_address.domain.rstrip(".").casefold()
    checked = (one.properties.get("header.from", domain).rpartition("@")[2].rstrip(".").casefold() for one in dmarc)
    return all(one.result == "pass" for one in dmarc) and all(name == domain for name in checked)


def _failed(first: dict[str, list[_Result]]) -> str | None:
    dmarc, spf, dkim = ([one.result for one in first.get(method, ())] for method in ("dmarc", "spf", "dkim"))
    if dmarc and "pass" not in dmarc and "fail" in dmarc:
        return _said("dmarc=fail", first["dmarc"])
    if "pass" in dmarc:
        return None
    if spf and dkim and _SPF_FAILED.issuperset(spf) and set(dkim) <= {"fail", "permerror"}:
        return _said(f"spf={spf[0]}, dkim={dkim[0]}", first["spf"])
    return None


def _said(what: str, results: Sequence[_Result]) -> str:
    named = next((value for one in results for value in one.properties.values()), "")
    return f"Authentication-Results: {what}" + (f" for {shown(named)}" if named else "")
