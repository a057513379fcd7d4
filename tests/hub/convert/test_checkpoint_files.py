"""Files that are not checkpoints are refused in one sentence, and nothing in them runs."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import landmarkzoo as lz
from landmarkzoo.hub.convert import read_checkpoint

NAME = "dolg_efficientnet_b0"


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_never_runs(tmp_path, zipped):
    checkpoint = {"model": {"neck.0.bias": torch.zeros(2)}, "config": Attack(tmp_path / "ran")}
    path = tmp_path / "checkpoint.pth"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"holds more than tensors, numbers and plain values: \w+.mkdir"
    ) as error:
        lz.convert_checkpoint(path, NAME)
    assert "checkpoint.pth: " in str(error.value)
    assert "torch.save({'model'" in str(error.value)
    assert not (tmp_path / "ran").exists()
    function, arguments = Attack(tmp_path / "ran").__reduce__()  # what any unpickling would have called
    function(*arguments)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_and_arrays_of_numpy_are_plain_values(tmp_path, zipped):
    values = {
        "best": np.float64(0.61),
        "epoch": np.int32(7),
        "flag": np.bool_(True),
        "name": np.array(["Taj Mahal", "塔"]),
        "matrix": np.arange(6.0, dtype=np.float16).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">i4"),
        "empty": np.zeros((0, 4)),
        "random": ("MT19937", np.arange(624, dtype=np.uint32), 624, 0, 0.0),
    }
    torch.save(values, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    before = set(torch.serialization.get_safe_globals())
    read = read_checkpoint(tmp_path / "a.pth")
    assert set(torch.serialization.get_safe_globals()) == before
    for name, value in values.items():
        assert str(read[name]) == str(value)
        assert type(read[name]) is type(value)


def test_a_checkpoint_of_numpy_1_has_another_name_for_the_same_function(tmp_path):
    torch.save(np.float64(0.61), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pth").read_bytes().replace(b"cnumpy._core.", b"cnumpy.core.")
    assert b"cnumpy.core.multiarray\nscalar" in content
    (tmp_path / "a.pth").write_bytes(content)
    assert read_checkpoint(tmp_path / "a.pth") == 0.61


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, None], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", object)]),
        np.void(b"abc"),
    ],
)
def test_arrays_of_objects_stay_refused(tmp_path, value):
    torch.save({"model": {}, "value": value}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth: .*(an array of .* may hold objects)"):
        read_checkpoint(tmp_path / "a.pth")


def test_what_the_user_has_allowed_stays_and_many_threads_can_read(tmp_path):
    torch.save({"best": np.float64(0.5), "array": np.arange(3)}, tmp_path / "a.pth")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([np.ndarray]):
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda _: read_checkpoint(tmp_path / "a.pth")["best"], range(64)))
        assert set(torch.serialization.get_safe_globals()) == before | {np.ndarray}
    assert read == [0.5] * 64


def test_objects_are_refused_with_the_fix(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "b.pth")
    with pytest.raises(ValueError, match=r"holds more than .* torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(tmp_path / "b.pth")


@pytest.mark.parametrize("kept", [0, 1, 2, 100, 5000, -1, -20])
def test_truncated_files(tmp_path, kept):
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": {"a": torch.zeros(3000)}}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"checkpoint.pth(: damaged, or not| is empty| is damaged)"):
        read_checkpoint(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated_files_of_other_formats(tmp_path, kept):
    tensors = {"a": torch.arange(3000.0)}
    torch.save(tensors, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, str(tmp_path / "a.safetensors"))
    for path in (tmp_path / "legacy.pth", tmp_path / "a.safetensors"):
        whole = path.read_bytes()
        assert torch.equal(read_checkpoint(path)["a"], tensors["a"])
        path.write_bytes(whole[: int(len(whole) * kept)])
        with pytest.raises(ValueError, match="damaged"):
            read_checkpoint(path)


@pytest.mark.filterwarnings("error:Detected pickle protocol", "ignore:.torch.jit")
def test_other_files(tmp_path):
    for name, content in (
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256))),
        ("text.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a"),
        ("list.pkl", pickle.dumps([1, 2, 3])),
        ("junk.pth", np.random.default_rng(0).bytes(500)),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=f"{name}: damaged, or not a checkpoint that torch.load reads"
        ) as error:
            lz.convert_checkpoint(tmp_path / name, NAME)
        assert "weights_only=False" not in str(error.value)
        assert "\n" not in str(error.value)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(ValueError, match=r"script\.pt: damaged, or not a checkpoint"):
        read_checkpoint(tmp_path / "script.pt")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint nowhere\.pth"):
        lz.convert_checkpoint("nowhere.pth", NAME)
    with pytest.raises(IsADirectoryError, match="is a folder: give the checkpoint file in it"):
        lz.convert_checkpoint(tmp_path, NAME)
