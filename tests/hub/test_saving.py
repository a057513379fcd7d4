"""A saved model is whole, with the head that belongs to it, whatever disks and threads do."""

import errno
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import landmarkzoo as lz
from landmarkzoo.hub.mixin import HubMixin

CLASSES = ["a", "b", "c"]


class Small(HubMixin):
    """So small that it fits on the disks of these tests, or so large that it does not."""

    def __init__(self, value, rows=8):
        super().__init__()
        self.weight = nn.Parameter(torch.full((rows, 8), float(value)))
        self.cfg = lz.ModelCfg("Small", {}, embedding_dim=8)


def a_head(value, classes=3):
    head = lz.losses.CosFace(8, classes)
    nn.init.constant_(head.weight, value)
    return head


def save(folder, value):
    Small(value).save_pretrained(folder, a_head(value), CLASSES)


def values(folder):
    """What stands in the files of a model: one value, if they belong together."""
    found = {name: load_file(folder / name)["weight"] for name in ("model.safetensors", "head.safetensors")}
    return {float(value) for tensor in found.values() for value in tensor.unique()}


def contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda folder: Small(2, rows=2_000).save_pretrained(folder),
        lambda folder: Small(2, rows=2_000).save_pretrained(folder, a_head(2), CLASSES),
        lambda folder: Small(2).save_pretrained(folder, a_head(2, 2_000)),
        lambda folder: Small(2).save_pretrained(folder, a_head(2, 400), [f"{i:0200d}" for i in range(400)]),
        lambda folder: lz.losses.save_head(a_head(2, 2_000), folder),
    ],
    ids=["model", "model before its head", "head", "names", "head alone"],
)
def test_a_full_disk_leaves_the_old_model_or_nothing(attempt, small_disk):
    save(small_disk / "old", 1)
    before = contents(small_disk)
    for folder in ("old", "new", "new/below"):
        with pytest.raises(
            OSError, match=r"^cannot write .*(model|head)\.safetensors: No space|json: No space"
        ) as e:
            attempt(small_disk / folder)
        assert e.value.errno == errno.ENOSPC
        assert contents(small_disk) == before


def test_descriptors_and_whitenings_on_a_full_disk(small_disk):
    d = lz.Descriptors([str(i) for i in range(3_000)], torch.rand(3_000, 8))
    for written in (d, lz.Whitening.fit(torch.rand(300, 200))):
        with pytest.raises(OSError, match=r"^cannot write .*/x: No space left on device$"):
            written.save(small_disk / "x")
    assert contents(small_disk) == {}


def test_a_read_only_disk_and_a_file_in_the_way(small_disk, tmp_path):
    save(small_disk / "old", 1)
    before = contents(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for folder in ("old", "new"):
        with pytest.raises(OSError, match=r"^cannot write .*: Read-only file system$"):
            save(small_disk / folder, 2)
    assert contents(small_disk) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(
        NotADirectoryError, match=r"^cannot write .*file: it is a file, and must be a folder$"
    ):
        save(tmp_path / "file", 1)


def test_no_old_head_stands_beside_a_new_model(tmp_path):
    save(tmp_path, 1)
    Small(2).save_pretrained(tmp_path, a_head(2))
    assert (values(tmp_path), (tmp_path / "classes.json").exists()) == ({2.0}, False)
    Small(3).save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_links_in_the_folder_stay_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "m").mkdir()
    for name in ("model.safetensors", "head.safetensors"):
        (tmp_path / "m" / name).symlink_to(tmp_path / "elsewhere" / name)
    for value in (1, 2):
        save(tmp_path / "m", value)
        assert values(tmp_path / "m") == values(tmp_path / "elsewhere") == {value}
    assert (tmp_path / "m" / "head.safetensors").is_symlink()


def test_threads_that_save_into_one_folder_leave_one_model(tmp_path):
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda value: save(tmp_path / "m", value), range(8)))
        assert len(values(tmp_path / "m")) == 1
    assert len(list((tmp_path / "m").iterdir())) == 4


def test_threads_that_save_one_model_into_many_folders(tmp_path):
    model, head = Small(7), a_head(7)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: model.save_pretrained(tmp_path / str(i), head, CLASSES), range(16)))
    assert all(values(tmp_path / str(i)) == {7.0} for i in range(16))


def test_a_model_without_weights_is_refused(tmp_path):
    with torch.device("meta"):
        model, head = Small(1), lz.losses.CosFace(8, 3)
    with pytest.raises(ValueError, match=r"the model has no weights .*: weight is on the meta device"):
        model.save_pretrained(tmp_path / "new")
    with pytest.raises(ValueError, match=r"the head has no centers .* on the meta device"):
        Small(1).save_pretrained(tmp_path / "new", head)
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("onnxscript")
    with pytest.raises(ValueError, match=r"the model has no weights .* on the meta device"):
        lz.export_onnx(model, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_onnx_is_written_whole_or_not_at_all(tmp_path, small_disk):
    pytest.importorskip("onnxscript")
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8).train()
    model.neck.eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(FileNotFoundError, match=r"^cannot write .*no does not exist$"):
        lz.export_onnx(model, tmp_path / "no" / "x.onnx")
    with pytest.raises(OSError, match=r"^cannot write .*/x\.onnx: No space left on device$"):
        lz.export_onnx(model, small_disk / "x.onnx")
    assert list(small_disk.iterdir()) == []
    assert [module.training for module in model.modules()] == modes
