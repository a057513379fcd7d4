import unicodedata

import pytest

from landmarkzoo._utils.unicode_names import ByName, nfc

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "ế Münster") for form in ("NFC", "NFD"))
HALF = "ế Mu\u0308nster"  # one letter in each form


def test_nfc():
    assert nfc(DECOMPOSED) == nfc(HALF) == nfc(COMPOSED) == COMPOSED
    assert nfc("caf\udce9") == "caf\udce9"  # a file name that is not UTF-8


@pytest.mark.parametrize("kept", [COMPOSED, DECOMPOSED, HALF])
def test_every_form_finds_the_name_that_is_there(kept):
    names = ByName({kept: 1, "other": 2})
    for asked in (COMPOSED, DECOMPOSED, HALF):
        assert asked in names
        assert names[asked] == names.get(asked) == 1
        assert names.spelled(asked) == kept
    assert list(names) == [kept, "other"]
    assert "Munster" not in names
    assert 3 not in names
    with pytest.raises(KeyError, match="Munster"):
        names["Munster"]


def test_two_names_of_one_form_are_told_apart():
    names = ByName({COMPOSED: 1, DECOMPOSED: 2})
    assert (names[COMPOSED], names[DECOMPOSED]) == (1, 2)
    assert HALF not in names  # it could be either
