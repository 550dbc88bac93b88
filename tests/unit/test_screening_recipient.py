"""One address is answered, and never one that could be forged, ours, or nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.addresses import organisational_domain, plain_address, same_organisation
from mailbot.screening import choose_recipient
from mailbot.screening.signs import robot_address
from tests.unit.factories import OUR_ADDRESS, make_address, make_message

OURS = frozenset({OUR_ADDRESS})


def chosen(sender: str, path: str | None, *reply_to: str, authenticated: bool = False) -> str | None:
    message = make_message(
        from_address=make_address(sender),
        return_path=path,
        reply_to=tuple(make_address(address) for address in reply_to),
    )
    recipient = choose_recipient(message, ours=OURS, authenticated=authenticated)
    assert recipient.reason
    return recipient.addr_spec


CHOICES = [
    # From, vouched for by an equal, a related or an absent Return-Path
    ("a@x.co.uk", "a@x.co.uk", (), "a@x.co.uk"),
    ("A@x.co.uk", "a@X.co.uk", (), "A@x.co.uk"),
    ("a@x.co.uk", "bounce-4711-pledges=brumcity.example@mail.x.co.uk", (), "a@x.co.uk"),
    ("a@team.x.co.uk", "b@x.co.uk", (), "a@team.x.co.uk"),
    ("a@x.co.uk", None, (), "a@x.co.uk"),
    # Reply-To, in the organisation of a From that is vouched for
    ("a@x.co.uk", "a@x.co.uk", ("b@team.x.co.uk",), "b@team.x.co.uk"),
    ("a@x.co.uk", None, ("b@x.co.uk",), "b@x.co.uk"),
    ("a@x.co.uk", "a@x.co.uk", ("b@y.co.uk",), "a@x.co.uk"),
    ("a@x.co.uk", None, ("b@y.co.uk",), "a@x.co.uk"),
    ("a@x.co.uk", "a@x.co.uk", ("b@y.co.uk", "c@x.co.uk"), "c@x.co.uk"),
    ("a@x.co.uk", "a@x.co.uk", ("a@x.co.uk", "c@x.co.uk"), "a@x.co.uk"),
    # two customers of one public suffix are strangers
    ("a@one.github.io", "a@one.github.io", ("b@two.github.io",), "a@one.github.io"),
    # a From that nothing vouches for: the Return-Path
    ("a@x.co.uk", "c@y.co.uk", (), "c@y.co.uk"),
    ("a@x.co.uk", "c@y.co.uk", ("b@x.co.uk",), "c@y.co.uk"),
    # or nobody
    ("a@x.co.uk", "talk-bounces@y.co.uk", (), None),
    ("a@x.co.uk", "no-reply@y.co.uk", (), None),
    ("a@x.co.uk", "SRS0=hh=tt=x.co.uk=a@relay.example", (), None),
    ("a@x.co.uk", "m-77-pledges=brumcity.example@relay.example", (), None),
    ("a@x.co.uk", OUR_ADDRESS, (), None),
    ("a@x.co.uk", "pledges+b.token@brumcity.example", (), None),
    ("a@x.co.uk", "not an address", (), None),
    ("a@brumcity.example", "a@brumcity.example", (OUR_ADDRESS,), None),
    ("a@x.co.uk", "a@x.co.uk", ("no-reply@x.co.uk",), None),
    ("", "a@x.co.uk", (), None),
]


@pytest.mark.parametrize(("sender", "path", "reply_to", "expected"), CHOICES)
def test_choice(sender: str, path: str | None, reply_to: tuple[str, ...], expected: str | None) -> None:
    assert chosen(sender, path, *reply_to) == expected


@pytest.mark.parametrize(
    ("path", "reply_to", "expected"),
    [
        ("c@y.co.uk", (), "a@x.co.uk"),
        ("c@y.co.uk", ("b@z.co.uk",), "b@z.co.uk"),
        ("c@y.co.uk", (OUR_ADDRESS,), None),
    ],
)
def test_choice_when_authenticated(path: str, reply_to: tuple[str, ...], expected: str | None) -> None:
    assert chosen("a@x.co.uk", path, *reply_to, authenticated=True) == expected


def test_a_mail_without_from_has_no_recipient() -> None:
    recipient = choose_recipient(make_message(from_address=None), ours=OURS)
    assert (recipient.addr_spec, recipient.reason) == (None, "From holds no usable address")


def test_the_reason_names_the_address_that_is_unfit() -> None:
    message = make_message(return_path="talk-bounces@y.example")
    reason = choose_recipient(message, ours=OURS).reason
    assert reason == (
        "nobody to answer: talk-bounces@y.example (Return-Path, because it vouches for no other) belongs to a program"
    )


@pytest.mark.parametrize(
    ("addr_spec", "domain"),
    [
        ("a@mail.x.co.uk", "x.co.uk"),
        ("a@X.Example.", "x.example"),
        ("a@co.uk", "co.uk"),
        ("a@mail.bücher.de", "xn--bcher-kva.de"),
        ("a@mail.xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("a@localhost", "localhost"),
        ("a@" + "x" * 300 + ".example", ""),
        ("a@", ""),
        ("a", ""),
    ],
)
def test_organisational_domain(addr_spec: str, domain: str) -> None:
    assert organisational_domain(addr_spec) == domain


def test_no_domain_is_nobodys_organisation() -> None:
    assert not same_organisation("a", "b")
    assert not same_organisation("a@", "b@")


ADDRESS = st.one_of(
    st.text(max_size=30),
    st.builds(
        "{}@{}".format,
        st.sampled_from(["a", "b", "talk-bounces", "noreply", "pledges", "pledges+b.x", "SRS0=x=y=z.example=a"]),
        st.sampled_from(["x.co.uk", "m.x.co.uk", "y.co.uk", "brumcity.example", "co.uk", "xn--", "a..b"]),
    ),
)


@given(sender=ADDRESS, path=st.none() | ADDRESS, reply_to=st.lists(ADDRESS, max_size=3), authenticated=st.booleans())
def test_never_ours_never_a_program_always_from_the_mail(
    sender: str, path: str | None, reply_to: list[str], authenticated: bool
) -> None:
    result = chosen(sender, path, *reply_to, authenticated=authenticated)
    if result is not None:
        given_addresses = {sender, path, *reply_to}
        assert result.lower() in {address.lower() for address in given_addresses if address}
        assert plain_address(result) not in OURS
        assert not robot_address(result)
        if path is not None and not authenticated:
            assert same_organisation(result, path)


@pytest.mark.parametrize("name", ["List-Id", "List-Post", "List-Unsubscribe"])
def test_a_lists_own_return_path_is_never_answered(name: str) -> None:
    """However the list spells its bounce address: here none of the patterns knows it."""
    message = make_message(
        return_path="circle+bncBDK4PX7Q2UHRBTWE4PEAMGQEYV3S7ZA@circles.example",
        more_headers=((name, "<circle.circles.example>"),),
    )
    recipient = choose_recipient(message, ours=())
    assert recipient.addr_spec is None
    assert "list" in recipient.reason
