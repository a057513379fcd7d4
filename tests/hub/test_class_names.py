"""Names of classes from the authors' table."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import landmarkzoo as lz
from landmarkzoo.hub import class_names

TABLE = """class_id,name
0,Luitpoldpark_in_Munich
1,"Sparkassen-Arena,_G%C3%B6ttingen"
2,Isa_Khan_Niyazi's_tomb
3,%22La_Castel%22_landscape_reserve
"""
NAMES = [
    "Luitpoldpark in Munich",
    "Sparkassen-Arena, Göttingen",
    "Isa Khan Niyazi's tomb",
    '"La Castel" landscape reserve',
]


@pytest.fixture
def table(tmp_path):
    def write(content):
        path = tmp_path / "class2name.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_names_as_people_write_them(table):
    assert lz.hub.read_class_names(table(TABLE)) == NAMES
    assert lz.hub.read_class_names(str(table("\ufeff" + TABLE.replace("\n", "\r\n")))) == NAMES
    lines = TABLE.splitlines()
    assert lz.hub.read_class_names(table("\n".join([lines[0], *lines[:0:-1]]))) == NAMES  # in any order
    assert lz.hub.read_class_names(table("class_id,name\n0,a%0Ab%1F__c\n")) == ["a b c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not begin with the columns class_id,name"),
        ("id,name\n0,a\n", "does not begin with the columns class_id,name"),
        ("<!DOCTYPE html>\n<html>", "does not begin with the columns class_id,name"),
        ("class_id,name\n", "has 0 classes: it is empty"),
        ("class_id,name\n0,a\n2,b\n", "has 2 classes, but no class 1: ids are 0, 1, 2, ..."),
        ("class_id,name\n1,a\n2,b\n", "has 2 classes, but no class 0"),
        ("class_id,name\n0,a\n0,b\n", "line 3: each line is a class that stands there once.* got '0,b'"),
        ("class_id,name\n-1,a\n", "line 2: .* got '-1,a'"),
        ("class_id,name\n0\n", "line 2: .* got '0'"),
        ("class_id,name\n0,a,b\n", "line 2: .* got '0,a,b'"),
        ("class_id,name\n\n0,a\n", "line 2: .* got ''"),
        ("class_id,name\n٣,a\n", "line 2: .* got '٣,a'"),
        (f"class_id,name\n{'9' * 5000},a\n", "line 2: each line is a class"),
        ('class_id,name\n0,"a\n', "is not a CSV file in UTF-8"),
        (b"class_id,name\n0,\xff\n", "is not a CSV file in UTF-8"),
    ],
)
def test_other_tables_are_refused(table, content, message):
    with pytest.raises(ValueError, match=message) as error:
        lz.hub.read_class_names(table(content))
    assert "\n" not in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        lz.hub.read_class_names(tmp_path / "nowhere.csv")


def test_they_are_downloaded_once(table, tmp_path, monkeypatch):
    """From a server on this machine, at the address that the entry has there."""
    path = table(TABLE)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        entry = class_names.WeightsFile("class2name", url=url)
        monkeypatch.setattr(class_names, "HENKEL_CLASS_NAMES", entry)
        with pytest.raises(FileNotFoundError, match=r"lz\.hub\.read_class_names\(path\) reads it"):
            lz.hub.fetch_class_names(cache_dir=tmp_path / "cache", local_files_only=True)
        assert lz.hub.fetch_class_names(cache_dir=tmp_path / "cache") == NAMES
        server.shutdown()
    assert lz.hub.fetch_class_names(cache_dir=tmp_path / "cache") == NAMES  # without a server


def test_the_address_is_of_a_commit():
    assert "/1ddd3f676431a7639f0b8a99606235548a0983d7/" in class_names.HENKEL_CLASS_NAMES.address
