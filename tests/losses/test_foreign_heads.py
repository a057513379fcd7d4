"""A file of a head is not believed: what it describes must fit the numbers in it."""

import json

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import landmarkzoo as lz


def edit(path, **changes):
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    metadata["arguments"] = json.dumps(json.loads(metadata["arguments"]) | changes)
    save_file(tensors, str(path), metadata)


@pytest.mark.parametrize("head", [lz.SubCenterArcFaceDynamic(8, 2, margins=0.3), lz.losses.CosFace(8, 2)])
@pytest.mark.parametrize("argument", ["num_classes", "embedding_dim"])
@pytest.mark.parametrize("value", [10**9, 2**70, -1, 0, 2.5, "2", None, True, float("nan"), [2]])
def test_sizes_that_cannot_be(tmp_path, head, argument, value):
    lz.losses.save_head(head, tmp_path)
    edit(tmp_path / "head.safetensors", **{argument: value})
    with pytest.raises(ValueError, match=r"cannot build the \w+ of .*head\.safetensors: ") as error:
        lz.load_head(f"local-dir:{tmp_path}")
    assert "\n" not in str(error.value)
    if value == 10**9:
        assert f"Its largest argument is {argument} (1e+09)" in str(error.value)
