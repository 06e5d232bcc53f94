"""Agreements as text: what is written is read again, and what is wrong is told by its line."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.agreements import files
from hub.agreements.files import Format, WrongLines
from hub.agreements.policy import CdrMode, Terms
from hub.agreements.repository import Agreement
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

INSTANTS = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
TERMS = st.builds(
    Terms, st.frozensets(st.sampled_from(ModuleID), max_size=3), INSTANTS, INSTANTS, st.sampled_from(CdrMode)
).filter(lambda terms: not (terms.valid_from and terms.valid_until) or terms.valid_from < terms.valid_until)
NAMES = st.lists(st.sampled_from([PartyId("NL", f"A{n:02}") for n in range(20)]), unique=True, max_size=20)


@given(NAMES, st.data(), st.sampled_from(Format))
def test_what_is_written_is_read_again(names: list[PartyId], data: st.DataObject, form: Format) -> None:
    pairs = zip(names[::2], names[1::2], strict=False)
    agreements = [Agreement(cpo, emsp, data.draw(TERMS)) for cpo, emsp in pairs]
    text = files.write(agreements, form)
    assert files.read(text) == agreements
    assert files.write(files.read(text), form) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"cpo":"nl*abc","emsp":"DE/XYZ"}\n{"cpo": "NL/ABC",\n "emsp": "FR/OTH"}\n',
        '[{"cpo":"NL/ABC","emsp":"DE/XYZ","modules":[]},{"cpo":"NL/ABC","emsp":"FR/OTH","valid_from":null}]',
        "\ufeffemsp,cpo\r\nDE/XYZ,NL/ABC\r\nFR/OTH,NL/ABC\r\n",
        "cpo,emsp,modules,valid_from\nNL/ABC,DE/XYZ,all,\n\nNL/ABC,FR/OTH,,\n",
    ],
)
def test_people_may_leave_out_what_is_usual(text: str) -> None:
    cpo = PartyId("NL", "ABC")
    assert files.read(text) == [
        Agreement(cpo, PartyId("DE", "XYZ"), Terms()),
        Agreement(cpo, PartyId("FR", "OTH"), Terms()),
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("cpo,emsp\nNL/ABC,DE/XYZ\nNL,DE/XYZ\nNL/ABC,\n", ["Line 3: cpo: NL is not", "Line 4: emsp: nothing is not"]),
        ("cpo,emsp\nNL/ABC,DE/XYZ\nDE/XYZ,NL/ABC\n", ["Line 3: cpo, emsp: the same two parties as line 2"]),
        ("cpo,emsp\nNL/ABC,NL/ABC\n", ["Line 2: emsp: NL*ABC needs no agreement with itself"]),
        ("cpo,emsp,modules\nNL/ABC,DE/XYZ,cars\n", ["Line 2: modules: cars is no module"]),
        ("cpo,emsp,cdr_mode\nNL/ABC,DE/XYZ,sure\n", ["Line 2: cdr_mode: sure is none; write transparent or"]),
        ("cpo,emsp,since\nNL/ABC,DE/XYZ,x\n", ["Line 2: since: there is no such field; fields are cpo"]),
        (
            "cpo,emsp,valid_from,valid_until\nNL/ABC,DE/XYZ,2026-01-02,2026-01-02\n",
            ["Line 2: valid_until: it ends before it begins"],
        ),
        ("cpo,emsp\nNL/ABC,DE/XYZ,sessions,cdrs\n", ["Line 2: there are more values than fields"]),
        ("cpo;emsp\nNL/ABC;DE/XYZ\n", ["Line 1: cpo: the first line names the fields"]),
        ("", ["Line 1: cpo: the first line names the fields"]),
        ('[\n{"cpo":"NL/ABC","emsp":"DE/XYZ"},\n{"cpo":"NL/AB', ["Line 3: the list does not end with a ]"]),
        ('{"cpo":"NL/ABC","emsp":"DE/XYZ"}\n{"cpo":"NL/AB', ["Line 2: what begins here is not JSON"]),
        ('[{"cpo":"NL/ABC","cpo":"NL/ABX","emsp":"DE/XYZ"}]', ["Line 1: what begins here is not JSON"]),
        (f'[{{"cpo":{"9" * 5000},"emsp":"DE/XYZ"}}]', ["Line 1: what begins here is not JSON"]),
        ('[\n["NL/ABC","DE/XYZ"]]', ["Line 2: an agreement is an object with the fields"]),
        ('[{"cpo":"NL/ABC","emsp":"DE/XYZ","modules":{"a":1}}]', ["Line 1: modules: {'a': 1} is no module"]),
        ('[{"cpo":"NL/ABC","emsp":"DE/XYZ","modules":[["x"]]}]', ["Line 1: modules: ['x'] is no module"]),
        ('[{"cpo":7,"emsp":"DE/XYZ","valid_from":7}]', ["Line 1: cpo: 7 is not COUNTRY/PARTY"]),
        ('[{"cpo":"NL/ABC","emsp":"DE/XYZ","valid_from":7}]', ["Line 1: valid_from: 7 is no UTC instant"]),
        ('[{"cpo":"NL/ABC","emsp":"DE/XYZ","valid_from":"2026-02-30"}]', ["Line 1: valid_from: 2026-02-30 is no UTC"]),
        ('[{"cpo":"NL/ABC","emsp":"DE/XYZ","cdr_mode":["x"]}]', ["Line 1: cdr_mode: ['x'] is none"]),
    ],
)
def test_every_wrong_line_is_told_with_its_field_and_the_way_out(text: str, sentences: list[str]) -> None:
    with pytest.raises(WrongLines) as wrong:
        files.read(text)
    assert len(wrong.value.sentences) == len(sentences)
    for told, expected in zip(wrong.value.sentences, sentences, strict=True):
        assert told.startswith(expected)


def test_a_text_with_nothing_in_it_is_no_agreements() -> None:
    assert files.read(files.write([], Format.json)) == []
    assert files.read(files.write([], Format.csv)) == []
