"""Taking a text apart: own words, forwarded and quoted mail, signature, footer."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbot.model import Address, Body
from mailbot.reading.body import take_apart
from mailbot.reading.flowed import unflow

ROSA = Address(display_name="Rosa Field", addr_spec="rosa@fieldworks.example")
OFFER = "You could use our bench on Fridays."


def apart(text: str, subject: str = "", sender: Address | None = ROSA) -> Body:
    return take_apart(text, subject=subject, sender=sender)


@pytest.mark.parametrize(
    "attribution",
    [
        "On Mon, 5 Nov 2018 at 10:00, Sarah Crawley <s@c.example> wrote:",
        "On Mon, 5 Nov 2018 at 10:00, Sarah Crawley\n<s@c.example> wrote:",
        "On 3 Sept, Sarah Crawley wrote:",
        "On 4 Oct 2018, at 16:02, Sarah Crawley wrote:",
        "Am Mo., 5. Nov. 2018 um 10:00 Uhr schrieb Sarah Crawley <s@c.example>:",
        "Am 05.11.2018 um 10:00 schrieb Sarah:",
        "Le lun. 5 nov. 2018 à 10:00, Sarah <s@c.example> a écrit :",
        "pon., 5 lis 2018 o 10:00 Sarah <s@c.example> napisał(a):",
        "Dnia 5 listopada 2018 10:00 Sarah <s@c.example> napisał(a):",
        "El lun., 5 nov. 2018 a las 10:00, Sarah (<s@c.example>) escribió:",
        "Dne 5. 11. 2018 10:00 Sarah napsal(a):",
        "Sarah Crawley <s@c.example> wrote:",
        "2018-11-05 10:00 GMT+01:00 Sarah <s@c.example>:",
    ],
)
@pytest.mark.parametrize("sign", ["> ", ""])
def test_attributions(attribution: str, sign: str) -> None:
    body = apart(f"{OFFER}\n\n{attribution}\n{sign}Who can help?\n{sign}Anyone?")
    assert body.own_text == OFFER
    assert attribution in body.quoted_text and "Anyone?" in body.quoted_text


@pytest.mark.parametrize(
    "block",
    [
        "From: Sarah\nSent: 5 November 2018 10:00\nTo: Rosa\nSubject: Help",
        "*From:* Sarah\n*Date:* 5 November 2018 10:00\n*To:* Rosa\n*Subject:* Help",
        "-----Original Message-----\nFrom: Sarah\nSubject: Help",
        "________________________________\nFrom: Sarah\nSent: 5 November 2018\nTo: Rosa\nSubject: Help",
        "Von: Sarah\nGesendet: Montag, 5. November 2018\nAn: Rosa\nBetreff: Hilfe",
        "De : Sarah\nEnvoyé : lundi 5 novembre 2018\nÀ : Rosa\nObjet : Aide",
        "Od: Sarah\nWysłano: 5 listopada 2018\nDo: Rosa\nTemat: Pomoc",
    ],
)
def test_header_blocks_are_quoted_in_a_reply_and_forwarded_in_a_forward(block: str) -> None:
    text = f"{OFFER}\n\n{block}\n\nWho can help?"
    assert apart(text, "RE: Help").own_text == OFFER
    assert "Who can help?" in apart(text, "RE: Help").quoted_text
    assert "Who can help?" in apart(text, "FW: Help").forwarded_text


@pytest.mark.parametrize(
    "mark",
    [
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "-------- Forwarded Message --------",
        "-------- Weitergeleitete Nachricht --------",
        "---------- Message transféré ---------",
    ],
)
def test_forward_marks(mark: str) -> None:
    body = apart(f"See below.\n\nRosa\n\n{mark}\nFrom: Asha\n\n> We will run interviews.")
    assert body.own_text == "See below."
    assert body.signature == "Rosa"
    assert body.forwarded_text == f"{mark}\nFrom: Asha\n\n> We will run interviews."


def test_original_message_is_forwarded_under_a_forward_subject() -> None:
    text = "Treat it as ours.\n\n-------- Original Message --------\nFrom: Joss\n\nWe could lend a press."
    assert "lend a press" in apart(text, "Fwd: round-up").forwarded_text
    assert "lend a press" in apart(text, "Re: round-up").quoted_text


def test_inline_answers_stay_own() -> None:
    text = "> Have you a room?\nYes, the hall.\n> And money?\nNo, but take the van.\n\n> Thanks"
    body = apart(text)
    assert body.own_text == "Yes, the hall.\n\nNo, but take the van."
    assert body.quoted_text == "> Have you a room?\n\n> And money?\n\n> Thanks"


def test_an_answer_below_an_unmarked_quotation_is_not_lost() -> None:
    text = f"On 5 Nov 2018 at 10:00, Sarah wrote:\nWho can help?\n\n{OFFER}"
    assert OFFER in apart(text).own_text


def test_a_mail_that_is_all_forwarded_is_still_read() -> None:
    text = f"From: Asha\nSent: 5 November 2018\nTo: Rosa\nSubject: Interviews\n\n{OFFER}"
    assert OFFER in apart(text, "Interviews").forwarded_text


@pytest.mark.parametrize(
    "own",
    [
        "As the board wrote: we will lend the hall.",
        "On the 5th we open at 10:00.\nWe could lend the hall.",
        "From: now on\nwe lend the hall.",
        "Here is what we offer:\n- the hall\n- the van",
        "The numbers:\n--\nWe will give £500 to the launch, and you can have the hall on any Tuesday that suits you.",
        "We are a registered charity and would be happy to lend our hall.",
        "In confidence: I would give £500, but this message is confidential until then.",
        "Your name: Sunita\nTelephone: 07700 900377\nMessage: You can use our kitchen.\nSign me up for news: no",
        "From: Sunita\nTo: the team\nSubject: kitchen\nMessage: You can use our kitchen.",
    ],
)
def test_own_words_are_never_eaten(own: str) -> None:
    body = apart(f"Dear Sarah\n\n{own}\n\nKind regards\nRosa")
    assert own in body.own_text


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nRosa Field\nFieldworks\n0121 496 0132",
        "Best wishes\nRosa",
        "Kind regards,\n\nRosa Field\nDirector\nFieldworks CIC\n0121 496 0132 | www.fieldworks.example",
        "Ta\nRosa",
        "Regards\n\nRosa\n\nRosa Field\nChair, Fieldworks",
        "Rosa Field\nFieldworks\nB9 5QA",
        "Rosa Field, Fieldworks 07700 900802",
        "R. Field (retired)",
        "Rosa x",
        "RF",
        "Mit freundlichen Grüßen\nRosa Field",
        "Pozdrawiam\nRosa",
        "In solidarity\nRosa Field\nRegional Secretary\nUnity is strength",
        "Keep pedalling,\nRosa and the crew",
    ],
)
def test_signatures(signature: str) -> None:
    body = apart(f"Dear Sarah\n\n{OFFER}\n\n{signature}")
    assert body.own_text == f"Dear Sarah\n\n{OFFER}"
    assert body.signature == signature.replace("-- ", "--")


def test_a_signature_attached_to_the_last_line() -> None:
    assert apart(f"{OFFER}\nRosa").signature == "Rosa"
    assert apart(f"{OFFER}\nCheers\nRosa\n0121 496 0132").own_text == OFFER


@pytest.mark.parametrize(
    "postscript", ["P.S. We also have a van you could borrow.", "PS: ask for Jo", "PPS it is free."]
)
def test_a_postscript_is_own(postscript: str) -> None:
    body = apart(f"{OFFER}\n\nBest wishes\nRosa Field\nFieldworks\n\n{postscript}")
    assert body.own_text == f"{OFFER}\n\n{postscript}"
    assert body.signature == "Best wishes\nRosa Field\nFieldworks"
    below_mark = apart(f"{OFFER}\n\n-- \nRosa Field\n\n{postscript}")
    assert postscript in below_mark.own_text and below_mark.signature == "--\nRosa Field"


@pytest.mark.parametrize(
    "footer",
    [
        "Sent from my iPhone",
        "Get Outlook for iOS",
        "This email is confidential and intended only for the person named above.",
        "Fieldworks CIC. Registered in England no. 0999999.",
        "Registered charity no. 1234567",
        "To unsubscribe from this list write to leave@x.example",
        "Please consider the environment before printing this email.",
        "_______________________________________________\nbench mailing list",
        "Fieldworks Rosa is regulated by the authority of benches.",
    ],
)
def test_footers(footer: str) -> None:
    body = apart(f"{OFFER}\n\nBest wishes\nRosa Field\nFieldworks\n\n{footer}")
    assert body.own_text == OFFER
    assert body.footer == footer


def test_the_organisations_advertising_below_the_signature_is_a_footer() -> None:
    advert = "Yard Works offers repairs on a sliding scale. If you would like to book, ring the desk."
    body = apart(f"{OFFER}\n\nYours,\n\nRosa Field\nDirector, Yard Works CIC\n0121 496 0277\n\n{advert}")
    assert body.footer == advert


def test_own_text_is_verbatim() -> None:
    own = "Dear Sarah,  \n\n\n  * one\n  * two   with  spaces\n\nSo."
    assert apart(own).own_text == "Dear Sarah,\n\n\n  * one\n  * two   with  spaces\n\nSo."


_LINES = st.sampled_from(
    [
        "",
        "  ",
        OFFER,
        "> quoted",
        ">From here",
        "On Mon, 5 Nov 2018 at 10:00, Sarah <s@c.example> wrote:",
        "Sarah wrote:",
        "-----Original Message-----",
        "From: Sarah",
        "Sent: today",
        "Subject: x",
        "---------- Forwarded message ---------",
        "-- ",
        "--",
        "Rosa Field",
        "Kind regards,",
        "0121 496 0132",
        "P.S. more",
        "Sent from my iPhone",
        "Registered charity no. 1",
        "____________________",
        "Fieldworks, Digbeth",
    ]
)


@given(st.lists(st.one_of(_LINES, st.text(max_size=30)), max_size=25), st.sampled_from(["", "Fwd: x", "Re: x"]))
def test_every_line_is_in_exactly_one_part(lines: list[str], subject: str) -> None:
    text = "\n".join(lines)
    body = apart(text, subject)
    parts = (body.own_text, body.forwarded_text, body.quoted_text, body.signature, body.footer)
    given_lines = Counter(line.rstrip() for line in text.split("\n") if line.strip())
    found = Counter(line for part in parts for line in part.split("\n") if line.strip())
    assert found == given_lines


@pytest.mark.parametrize(
    ("text", "del_sp", "expected"),
    [
        ("one \ntwo\nthree", False, "one two\nthree"),
        ("one \ntwo", True, "onetwo"),
        ("> one \n> two\n>> deep \nown \nwords", False, "> one two\n>> deep \nown words"),
        (" From stuffed \nline", False, "From stuffed line"),
        ("text \n-- \nRosa", False, "text \n-- \nRosa"),
    ],
)
def test_flowed_lines_are_joined(text: str, del_sp: bool, expected: str) -> None:
    assert unflow(text, del_sp=del_sp) == expected
