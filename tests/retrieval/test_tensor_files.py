"""Photos where a descriptors file is wanted."""

import pytest

import landmarkzoo as lz


def test_photos_in_place_of_a_descriptors_file_are_named_as_such(tmp_path):
    with pytest.raises(ValueError, match="is a folder and not a descriptors file: photos are embedded first"):
        lz.Descriptors.load(tmp_path)
    (tmp_path / "query.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(ValueError, match=r"query\.jpg is not a descriptors file.*photos are embedded first"):
        lz.Descriptors.load(tmp_path / "query.jpg")
