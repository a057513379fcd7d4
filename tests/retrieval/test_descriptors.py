import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import landmarkzoo as lz


@pytest.fixture
def descriptors():
    vectors = np.random.default_rng(0).standard_normal((5, 4))
    ids = ["a.jpg", "b/ü 塔.jpg", 'quote".png', "line\nbreak", ""]
    return lz.Descriptors(ids, vectors, [("x.jpg", "broken")], {"model": "m", "weights": "w1"})


def test_rows(descriptors):
    assert len(descriptors) == 5
    assert descriptors.vectors.dtype == np.float32
    part = descriptors[1:3]
    assert part.ids == descriptors.ids[1:3]
    assert np.array_equal(part.vectors, descriptors.vectors[1:3])
    assert part.provenance == descriptors.provenance
    mask = np.array([True, False, False, False, True])
    assert descriptors[mask].ids == descriptors[[0, 4]].ids == descriptors[np.array([0, 4])].ids
    assert descriptors[-1].ids == [""]
    with pytest.raises(IndexError):
        descriptors[7]
    assert "5 x 4, model='m', skipped=1" in repr(descriptors)


def test_save_and_load_bit_for_bit(descriptors, tmp_path):
    path = tmp_path / "index.safetensors"
    descriptors.save(path)
    loaded = lz.Descriptors.load(path)
    assert loaded.ids == descriptors.ids
    assert loaded.skipped == descriptors.skipped
    assert loaded.provenance == descriptors.provenance
    assert np.array_equal(loaded.vectors, descriptors.vectors)
    assert [p.name for p in tmp_path.iterdir()] == ["index.safetensors"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # readable for whom the user's umask lets
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        descriptors.save(tmp_path)


def test_many_long_ids_do_not_meet_the_limit_of_the_header(tmp_path):
    ids = [f"{'x' * 990}{i}" for i in range(110_000)]  # 109 MB: a safetensors header holds 100
    lz.Descriptors(ids, np.ones((len(ids), 1))).save(tmp_path / "x")
    assert lz.Descriptors.load(tmp_path / "x").ids == ids


def test_concat(descriptors):
    both = lz.Descriptors.concat([descriptors, descriptors[:2]])
    assert len(both) == 7
    assert both.ids[5:] == descriptors.ids[:2]
    assert both.skipped == descriptors.skipped
    other = lz.Descriptors(["z"], np.ones((1, 4)), provenance={"model": "n", "weights": "w2"})
    with pytest.raises(ValueError, match="embed both with one model"):
        lz.Descriptors.concat([descriptors, other])
    with pytest.raises(ValueError, match="4 dimensions"):
        lz.Descriptors.concat([descriptors, lz.Descriptors(["z"], np.ones((1, 3)))])
    with pytest.raises(ValueError, match="at least one"):
        lz.Descriptors.concat([])


def test_wrong_input():
    with pytest.raises(ValueError, match="got 1 ids for 2 vectors"):
        lz.Descriptors(["a"], torch.ones(2, 3))
    with pytest.raises(ValueError, match="row 1 has NaN"):
        lz.Descriptors(["a", "b"], [[0.0, 1.0], [np.inf, 0.0]])
    with pytest.raises(ValueError, match="shape"):
        lz.Descriptors(["a", "b"], [0.0, 1.0])


def test_damaged_and_foreign_files(descriptors, tmp_path):
    path = tmp_path / "index.safetensors"
    with pytest.raises(FileNotFoundError, match="no descriptors file"):
        lz.Descriptors.load(path)
    descriptors.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=r"index\.safetensors is no descriptors file or is damaged"):
        lz.Descriptors.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged"):
        lz.Descriptors.load(path)
    save_file({"vectors": np.ones((2, 2))}, path)
    with pytest.raises(ValueError, match="its format is None"):
        lz.Descriptors.load(path)
    with pytest.raises(FileNotFoundError, match="folder"):
        descriptors.save(tmp_path / "no" / "x")


def test_a_failed_write_leaves_the_old_file(descriptors, tmp_path, monkeypatch):
    path = tmp_path / "index.safetensors"
    descriptors.save(path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("landmarkzoo.retrieval.descriptors.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        descriptors[:2].save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_provenance_is_readable_without_us(descriptors, tmp_path):
    descriptors.save(tmp_path / "x")
    raw = (tmp_path / "x").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["provenance"]) == descriptors.provenance
