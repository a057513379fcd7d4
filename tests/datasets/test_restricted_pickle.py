import contextlib
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarkzoo.datasets import restricted_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    | st.tuples(inner, inner),
)  # fmt: skip


def dumped(tmp_path, content, protocol=pickle.DEFAULT_PROTOCOL):
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@given(content=PLAIN, protocol=st.integers(0, 5))
def test_plain_containers_of_every_protocol(tmp_path_factory, content, protocol):
    assert restricted_pickle.load(dumped(tmp_path_factory.mktemp("pickle"), content, protocol)) == content


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.array([3, 1, 2]),
        np.array([], dtype=np.int64),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array([True, False]),
        np.array(7.5, dtype=np.float32),
        np.arange(20)[::3],
    ],
    ids=str,
)
def test_arrays_of_numbers(tmp_path, array, protocol):
    loaded = restricted_pickle.load(dumped(tmp_path, {"a": array, "b": [array.sum()]}, protocol))
    # The byte order is the machine's or the file's, as numpy reads them too.
    assert loaded["a"].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert np.array_equal(loaded["a"], array)
    assert loaded["b"] == [array.sum()]
    assert isinstance(loaded["b"][0], np.generic)


def test_pickle_of_python_2(tmp_path):
    """The bytes of an array and a string as Python 2 and numpy 1 wrote them."""
    data = struct.pack("<2q", 300, -1)
    content = (
        b"\x80\x02}q\x00(U\x04jpg\xfcq\x01U\x02okq\x02U\x04easyq\x03cnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10" + data + b"tbu."
    )
    (tmp_path / "old.pkl").write_bytes(content)
    loaded = restricted_pickle.load(tmp_path / "old.pkl")
    assert loaded["jpgü"] == "ok"
    assert loaded["easy"].tolist() == [300, -1]


class Harmful:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_a_command_is_refused_and_does_not(tmp_path, protocol):
    target = tmp_path / "touched"
    path = dumped(tmp_path, {"imlist": [Harmful(os.system, f"touch {target}")]}, protocol)
    with pytest.raises(ValueError, match=r"some\.pkl asks for (posix|nt)\.system: refused"):
        restricted_pickle.load(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists()  # the pickle is one that works


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Harmful(eval, "1"), "eval"),
        (Harmful(getattr, "a", "upper"), "getattr"),
        (Harmful(np.load, "x"), r"numpy\.load"),
        (OrderedDict(a=1), r"collections\.OrderedDict"),
        (Path("x"), "Path"),
        (np.array([{}, None], dtype=object), "an array of object"),
        (np.zeros(2, dtype=[("a", "O"), ("b", "i8")]), "an array of"),
        (np.array(["text"]), "an array of <U"),
        (np.random.default_rng(0), "numpy"),
        (int, "int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_plain_is_refused_by_name(tmp_path, content, name):
    with pytest.raises(ValueError, match=rf"some\.pkl asks for .*{name}.*: refused"):
        restricted_pickle.load(dumped(tmp_path, content))


def test_array_with_the_bytes_of_pointers_is_refused(tmp_path):
    """numpy itself would take the number for the address of an object."""
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02V8K\x00K\x01\x87R"
        b"(K\x03U\x01|NU\x01a\x85}U\x01acnumpy\ndtype\nU\x02O8K\x00K\x01\x87RK\x00\x86sK\x08K\x01K\x00tb"
        b"\x89U\x08AAAAAAAAtb."
    )
    (tmp_path / "some.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"an array of .* refused"):
        restricted_pickle.load(tmp_path / "some.pkl")


def test_every_truncation_is_damage(tmp_path):
    path = dumped(tmp_path, {"imlist": ["a", "b"], "gnd": [{"easy": np.arange(3)}]})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"some\.pkl is not a pickle, or is damaged"):
            restricted_pickle.load(path)


@given(st.binary(max_size=60))
def test_chance_bytes_raise_nothing_but_value_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("pickle") / "some.pkl"
    path.write_bytes(content)
    with contextlib.suppress(ValueError):  # they may also be a pickle, of a number say
        restricted_pickle.load(path)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        restricted_pickle.load(tmp_path / "nowhere.pkl")
