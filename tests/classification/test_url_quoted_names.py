"""Names as in an address become readable; all other names stay as they are."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarkzoo.classification.url_quoted_names import readable_name


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("Taj%20Mahal", "Taj Mahal"),
        ("Ch%c3%a2teau", "Château"),
        ("Eiffel_Tower", "Eiffel_Tower"),  # no escape: an underscore may be the user's own
        ("100%", "100%"),
        ("50% of 20", "50% of 20"),
        ("50%2", "50%2"),
        ("a%2Fb", "a/b"),
        ("caf%E9", "caf%E9"),  # Latin-1, no UTF-8
        ("two%0Alines", "two%0Alines"),  # would break tables
        ("nul%00", "nul%00"),
        ("rtl%E2%80%AE", "rtl%E2%80%AE"),  # would turn the text around
        ("", ""),
    ],
)
def test_by_hand(name, readable):
    assert readable_name(name) == readable


@given(st.text(st.characters(codec="utf-8")).filter(str.isprintable))
def test_what_was_quoted_is_read(name):
    assert readable_name(quote(name)) == name


@given(st.text())
def test_names_without_escapes_stay(name):
    name = name.replace("%", "")
    assert readable_name(name) == name
