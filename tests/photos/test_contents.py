"""Uploads: bytes and open files are photos, alone, in lists and in data sets."""

import io
import tempfile
import zipfile

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Dataset

import landmarkzoo as lz
from landmarkzoo.photos import PhotoError, open_photo, photo_source

PIXELS = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "1.png")
    return tmp_path / "1.png"


@pytest.fixture
def content(path):
    return path.read_bytes()


def kinds(content):
    spooled = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - what web frameworks give
    spooled.write(content)
    return [content, bytearray(content), memoryview(content), io.BytesIO(content), spooled]


def test_every_kind_is_the_photo_in_the_file(content, path):
    for kind in [*kinds(content), path, str(path)]:
        assert np.array_equal(np.asarray(open_photo(kind)), PIXELS), type(kind)
    for kind in kinds(content):
        for photos in (kind, [kind, kind], iter([kind])):
            source = photo_source(photos)
            assert not source.named
            assert (source.ids[-1], source.file(0)) == (str(len(source) - 1), None)
            assert np.array_equal(np.asarray(source.load(len(source) - 1)), PIXELS)


def test_an_open_file_stays_open_where_it_was(content, path):
    with path.open("rb") as file:
        for position in (0, 7, len(content)):
            file.seek(position)
            source = photo_source([file])
            assert file.tell() == position
            assert open_photo(file).size == (32, 24)
            assert (file.tell(), file.closed) == (position, False)
    assert source.load(0).size == (32, 24)  # it was read when it was given

    class Stream(io.RawIOBase):  # as the answer of a server: it cannot go back
        def readable(self):
            return True

        def readall(self):
            return content

        def read(self, size=-1):
            return content

    assert np.array_equal(np.asarray(open_photo(Stream())), PIXELS)


def test_a_file_in_an_archive(content, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", content)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("1.png") as file:
        assert np.array_equal(np.asarray(open_photo(file)), PIXELS)


def test_they_are_embedded_as_the_file_is(tiny_model, content, path):
    expected = lz.embed(tiny_model, path, progress=False).vectors
    for photos in ([*kinds(content)], content, io.BytesIO(content)):
        d = lz.embed(tiny_model, photos, progress=False)
        np.testing.assert_array_equal(d.vectors, np.repeat(expected, len(d), axis=0))


def test_items_of_a_data_set(content):
    class Records(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, row):
            return [(content, 1), {"image": io.BytesIO(content), "label": 1}, bytearray(content)][row]

    source = photo_source(Records())
    for row in range(3):
        assert np.array_equal(np.asarray(source.load(row)), PIXELS)


def test_content_that_is_no_photo(tmp_path):
    for content, reason in ((b"", "it has no bytes"), (b"hello", "not an image")):
        for kind in (content, io.BytesIO(content)):
            with pytest.raises(PhotoError, match=f"photo 0: {reason}"):
                photo_source(kind).load(0)
            with pytest.raises(PhotoError, match=f"photo in memory: {reason}"):
                open_photo(kind)
    (tmp_path / "1.txt").write_text("hello")
    with (tmp_path / "1.txt").open() as file, pytest.raises(TypeError, match=r"binary mode.*got str from it"):
        photo_source([file])
    with pytest.raises(TypeError, match="a path, bytes or an open file, got int"):
        open_photo(3)


def test_columns_and_tables_of_pandas(tmp_path, path, tiny_model):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"photo": [str(path)] * 2, "label": [1, 2]}, index=[7, 9])
    assert photo_source(table["photo"]).ids == [str(path)] * 2
    assert photo_source(table["photo"]).named
    assert photo_source(table["photo"].to_numpy()).ids == [str(path)] * 2
    with pytest.raises(TypeError, match=r"must not be a table.*table\[name\], one of \['photo', 'label'\]"):
        lz.embed(tiny_model, table)
    with pytest.raises(TypeError, match="at position 1 there is float, at 0 a path"):
        photo_source(pandas.Series([str(path), float("nan")]))
