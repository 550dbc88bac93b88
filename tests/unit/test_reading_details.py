"""Details: person, organisation, telephone, web site, postcode, amounts, dates."""

from __future__ import annotations

from datetime import date

import pytest

from mailbot.model import Address, Body, Details
from mailbot.reading import dates, details


def find(
    own: str = "",
    signature: str = "",
    name: str = "Rosa Field",
    addr_spec: str = "rosa@post.example",
    region: str = "GB",
) -> Details:
    body = Body(
        own_text=own, signature=signature, quoted_text="Call 0121 496 0999 or pay £9", footer="£8 www.no.example"
    )
    return details.find(body, sender=Address(display_name=name, addr_spec=addr_spec), region=region)


@pytest.mark.parametrize(
    ("written", "region", "expected"),
    [
        ("0121 496 0132", "GB", "+441214960132"),
        ("(0121) 496 0132", "GB", "+441214960132"),
        ("07700 900161", "GB", "+447700900161"),
        ("+44 (0)7700 900161", "GB", "+447700900161"),
        ("+48 22 123 45 67", "GB", "+48221234567"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("030 23125 000", "DE", "+493023125000"),
        ("Invoice 2018 4471 12", "GB", None),
        ("£1,000,000,000", "GB", None),
        ("company no. 09999999", "GB", None),
    ],
)
def test_phone(written: str, region: str, expected: str | None) -> None:
    assert find(f"Ring {written} any day.", region=region).phone == expected


def test_contacts_come_from_the_signature_first_and_never_from_quotes_or_footers() -> None:
    found = find("Or ring the desk, 0121 496 0100.", "Rosa Field\n0121 496 0200\nB95QA\nwww.field.example")
    assert found.phone == "+441214960200"
    assert found.postcode == "B9 5QA"
    assert found.website == "www.field.example"
    assert find("Nothing here.") == Details(person="Rosa Field")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see www.field.example/a?b=1, thanks", "www.field.example/a?b=1"),
        ("see https://field.example.", "https://field.example"),
        ("dovecote.example · 0121", "dovecote.example"),
        ("mail rosa@field.example", None),
        ("No space.after a full stop", None),
    ],
)
def test_website(text: str, expected: str | None) -> None:
    assert find(text).website == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We give £500 and €1,200.50 or $4.7 million USD.", ("£500", "€1,200.50", "$4.7 million USD")),
        ("£395 + VAT, £640 plus VAT, £400k, £3.2m", ("£395", "£640", "£400k", "£3.2m")),
        ("£20-25k or £5-£10", ("£20-25k", "£5-£10")),
        ("a tenner, two grand and fifty pence", ("a tenner", "two grand", "fifty pence")),
        ("a grand launch", ()),
        ("£900 (nine hundred pounds)", ("£900",)),
        ("40p a ticket, 20 pounds a month, GBP 75", ("40p", "20 pounds", "GBP 75")),
        ("the three thousand pounds we promised", ("three thousand pounds",)),
        ("pounds of flour, 500 bags, 12,000 people, page 4 p.m.", ()),
        ("£5 and again £5", ("£5",)),
    ],
)
def test_amounts(text: str, expected: tuple[str, ...]) -> None:
    assert find(text).amounts == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2 March 2019", ["2019-03-02"]),
        ("on 02/03/2019 and 2019-04-05", ["2019-03-02", "2019-04-05"]),
        ("March 2nd, 2019", ["2019-03-02"]),
        ("the 15th November. Or the 4th", ["15th November", "the 4th"]),
        ("from 5 to 25 November", ["5 to 25 November"]),
        ("by Easter, or the end of March", ["Easter", "end of March"]),
        ("next week, half term, launch week", ["next week", "half term", "launch week"]),
        ("October to March", ["October to March"]),
        ("on Tuesday, last year, since 1999, last March, 3 June last year", []),
        ("we may march in", []),
        ("31/02/2019 and 99/99/9999", []),
        ("on 1 May 2001", []),
        ("28 February to 3 March, from 4 May - 6 June", ["28 February to 3 March", "4 May - 6 June"]),
        ("mid-December, end of next month", ["mid-December", "end of next month"]),
        ("first of next month, the last Friday in June", ["first of next month", "last Friday in June"]),
        ("October half term, from Feb", ["October half term", "Feb"]),
        ("Lady Day, Good Friday, Easter holidays", ["Lady Day", "Good Friday", "Easter holidays"]),
        ("our Christmas party, a new year parade", []),
        ("by the spring, until winter, this summer", ["the spring", "winter", "this summer"]),
        ("until the autumn of 2020", ["the autumn of 2020"]),
        ("painted in the spring, a spring in its step", []),
        ("booked to 2021, in 2017, by 2018", ["2021"]),
        ("in the 2018/19 academic year", ["2018/19 academic year"]),
        ("in the 2015/16 academic year", []),
        ("The shop closed in June. In August we wrote to you.", []),
        ("It will be closed in June. In August we will write.", ["June", "August"]),
        ("your letter of 3 July and my email of the 4th", []),
        ("you promised us in June, promised in July", ["June", "July"]),
    ],
)
def test_dates(text: str, expected: list[str]) -> None:
    assert list(dates.find(text, sent_on=date(2018, 9, 1))) == expected


def test_the_region_orders_day_and_month() -> None:
    assert find("on 02/03/2019", region="US").dates == ("2019-02-03",)


@pytest.mark.parametrize(
    ("name", "addr_spec", "own", "signature", "expected"),
    [
        ("Rosa Field", "rosa@x.example", "", "", "Rosa Field"),
        ("Field, Rosa (Fieldworks)", "rosa@x.example", "", "", "Rosa Field"),
        ("Rosa Field", "rosa@x.example", "", "Regards\nRosa May Field\nFieldworks", "Rosa May Field"),
        ("website@x.example", "website@x.example", "Your name: Sunita Dhanda\nMessage: hello", "", "Sunita Dhanda"),
        ("Midland Awards", "info@x.example", "Hello, it's Jade Lister from the Awards.", "", "Jade Lister"),
        ("The Field Trust", "grants@x.example", "", "Jocasta Wren, Clerk", "Jocasta Wren"),
        ("MAILER-DAEMON", "mailer-daemon@x.example", "Sorry.", "", None),
        ("No Reply", "no-reply@x.example", "Hello.", "", None),
        ("", "rosa@x.example", "", "", None),
        ("The Revd Dr Rosa Field", "rosa@x.example", "", "", "Rosa Field"),
        ("PC (retd) Rosa Field", "rosa@x.example", "", "", "Rosa Field"),
        ("Rosa Field FCCA", "rosa@x.example", "", "", "Rosa Field"),
        ("Mrs Field", "rosa@x.example", "", "", "Mrs Field"),
        ("Rosa at The Field Trust", "rosa@x.example", "", "", "Rosa"),
        ("Rosa @ Fieldworks", "rosa@x.example", "", "", "Rosa"),
        ("Rosa Field (The Field Trust)", "rosa@x.example", "", "", "Rosa Field"),
        ("Rosa Bank-Field", "rosa@x.example", "", "", "Rosa Bank-Field"),
        ("The Field Trust", "info@x.example", "", "Yours\n(Mrs) Rosa Field\nParish Clerk", "Rosa Field"),
        ("Field Finance", "deals@fieldfinance.example", "", "Field Finance", None),
        ("The Field Trust", "info@x.example", "We will help.\n\nRosa Field", "Clerk", "Rosa Field"),
        ("The Field Trust", "info@x.example", "We will help.\n\nRosa, Credit Control", "", "Rosa"),
        ("The Field Trust", "info@x.example", "We will help.\nWith pleasure.", "", None),
    ],
)
def test_person(name: str, addr_spec: str, own: str, signature: str, expected: str | None) -> None:
    assert find(own, signature, name, addr_spec).person == expected


@pytest.mark.parametrize(
    ("own", "signature", "name", "addr_spec", "expected"),
    [
        ("", "Rosa Field\nDirector, Fieldworks CIC", "Rosa Field", "r@x.example", "Fieldworks CIC"),
        ("", "Rosa Field\nBrick & Bloom\n0121 496 0132", "Rosa Field", "r@brickandbloom.example", "Brick & Bloom"),
        ("I am the founder of New Horizons Trust, we help.", "", "Rosa Field", "r@x.example", "New Horizons Trust"),
        ("Meet us at Common Loom on Monday.", "Rosa", "Rosa Field", "r@commonloom.example", "Common Loom"),
        ("Organisation: Pearl Street Kitchen\nMessage: hi", "", "form", "form@x.example", "Pearl Street Kitchen"),
        ("Organisation: none\nMessage: hi", "", "form", "form@x.example", None),
        ("Hello.", "Rosa", "The Field Trust", "rosa@x.example", "The Field Trust"),
        ("Hello, I have a van.", "Rosa Field", "Rosa Field", "rosa@post.example", None),
        ("", "Rosa Field\nSite Sec.", "Rosa Field", "r@x.example", None),
        ("", "Rosa Field\nClerk to the Society", "Rosa Field", "r@x.example", None),
        ("", "Rosa Field\nUnit 4, B5 5TT", "Rosa Field", "r@x.example", None),
        ("", "R. Field BDS", "Rosa Field", "r@fielddental.example", None),
        ("We are pleased that the Trust agreed.", "Rosa", "Rosa Field", "r@trust-field.example", None),
        ("Put Dovecote Lane Rowing Club down.", "Rosa", "Rosa", "r@dovecotelane.example", "Dovecote Lane Rowing Club"),
        ("I live near Brandwood you know.", "Rosa", "Rosa Field", "r@field4brandwood.example", None),
        ("Here at Commonloom we weave.", "Rosa", "Rosa Field", "r@commonloom.example", "Commonloom"),
        ("Hello.", "Rosa", "Rosa at Field Loom", "rosa@fieldloom.example", "Field Loom"),
        ("Organisation: none, I am retired\nMessage: hi", "", "form", "form@x.example", None),
    ],
)
def test_organisation(own: str, signature: str, name: str, addr_spec: str, expected: str | None) -> None:
    assert find(own, signature, name, addr_spec).organisation == expected
