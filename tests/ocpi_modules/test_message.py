"""The values of a message."""

import pytest

from ocpi_modules.message import PartyId


@pytest.mark.rule("Y-02")
def test_a_party_is_read_as_it_is_written() -> None:
    party = PartyId.of("nl", "abc")
    assert (str(party), PartyId.read(str(party)), PartyId.read("nl*Abc")) == ("NL*ABC", party, party)
