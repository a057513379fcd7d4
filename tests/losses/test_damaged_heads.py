"""Files of heads that are damaged or were tampered with: one line that names the file, whatever is wrong."""

import json

import pytest
import torch
from each_head import each_head
from safetensors import safe_open
from safetensors.torch import save_file

import landmarkzoo as lz

pytestmark = each_head


def file_of(head, folder):
    lz.losses.save_head(head, folder, ["a", "b", "c"])
    path = folder / "head.safetensors"
    with safe_open(str(path), framework="pt") as file:
        return path, {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def assert_refused(folder, path, message):
    with pytest.raises(ValueError, match=message) as refused:
        lz.load_head(folder)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"weight": w[0, 0]}, r"its weight has shape \[\]"),
        (lambda w: {"weight": w.flatten()}, r"its weight has shape \[\d+\], not \[centers, 8\]"),
        (lambda w: {"weight": w[:, None]}, r"its weight has shape \[\d, 1, 8\]"),
        (lambda w: {"weight": w[:0]}, r"its weight has shape \[0, 8\]"),
        (lambda w: {"weight": w.long()}, "its weight is torch.int64, not floating point"),
        (lambda w: {"weight": w > 0}, "its weight is torch.bool, not floating point"),
        (lambda w: {"weight": None}, "it has no weight"),
        (lambda w: {"margins": torch.full((3,), torch.nan)}, "margins .*finite"),
        (lambda w: {"margins": torch.zeros(2)}, "margins .*shape"),
        (lambda w: {"more": w[0]}, "not hold the tensors of a .*(?s:.*)more"),
    ],
)
def test_tensors(make_head, tmp_path, change, message):
    path, tensors, metadata = file_of(make_head(8, 3), tmp_path)
    tensors |= change(tensors["weight"])
    rest = {name: tensor.clone() for name, tensor in tensors.items() if tensor is not None}
    save_file(rest, str(path), metadata)
    assert_refused(tmp_path, path, message)


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 10**12},
        {"num_classes": 2},
        {"num_classes": "3"},
        {"num_classes": None},
        {"embedding_dim": 10**12},
        {"embedding_dim": [8]},
        {"scale": "large"},
        {"scale": float("nan")},
        {"scale": {}},
    ],
    ids=str,
)
def test_arguments(make_head, tmp_path, change):
    path, tensors, metadata = file_of(make_head(8, 3), tmp_path)
    metadata["arguments"] = json.dumps({**json.loads(metadata["arguments"]), **change})
    save_file(tensors, str(path), metadata)
    assert_refused(tmp_path, path, "damaged|cannot build")


@pytest.mark.parametrize("text", ["[1]", "[[1, 2]]", "{", "3", "[" * 100_000], ids=range(5))
def test_arguments_that_are_not_a_dictionary(make_head, tmp_path, text):
    path, tensors, metadata = file_of(make_head(8, 3), tmp_path)
    save_file(tensors, str(path), {**metadata, "arguments": text})
    assert_refused(tmp_path, path, "damaged|cannot build")


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64])
def test_not_a_safetensors_file(make_head, tmp_path, content):
    path, _, _ = file_of(make_head(8, 3), tmp_path)
    path.write_bytes(content)
    assert_refused(tmp_path, path, "damaged or not a safetensors file")


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1}', b"[1, 2, 3]", b'["a", "b"]', b"null", b'"abc"', b"", b"\xed\xa0\x80", b"[" * 100_000],
    ids=range(8),
)
def test_class_names(make_head, tmp_path, content):
    file_of(make_head(8, 3), tmp_path)
    (tmp_path / "classes.json").write_bytes(content)
    assert_refused(tmp_path, tmp_path / "classes.json", "damaged|must be a list of 3 names")


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_cannot_be(make_head, tmp_path, device):
    file_of(make_head(8, 3), tmp_path)
    with pytest.raises(ValueError, match=f"cannot compute on the device '{device}'"):
        lz.load_head(tmp_path, device=device)
