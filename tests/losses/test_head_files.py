import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import landmarkzoo as lz


def head_with_everything():
    return lz.SubCenterArcFaceDynamic(
        512,
        4,
        class_counts=[9, 3, 5, 1],
        sub_centers=2,
        scale=30.0,
        label_smoothing=0.1,
        class_weights=[1.0, 2.0, 3.0, 4.0],
        reduction="sum",
        products="float32",
        sample_rate=1.0,
    )


def test_round_trip_gives_the_same_loss_and_names(tmp_path):
    model, head = lz.create_model("efficientnet_lite0_gem"), head_with_everything()
    names = ["Taj Mahal", "Brandenburger Tor", "故宫", "Sagrada Família"]
    model.save_pretrained(tmp_path / "new" / "model", head=head, class_names=names)
    folder = tmp_path / "new" / "model"
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.json", "config.json", "head.safetensors", "model.safetensors",
    ]  # fmt: skip
    loaded, class_names = lz.load_head(f"local-dir:{folder}")
    assert class_names == names
    x, y = torch.randn(6, 512), torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(loaded(x, y), head(x, y), rtol=0, atol=0)
    assert repr(loaded) == repr(head)
    assert loaded.weight.requires_grad
    with safe_open(str(folder / "head.safetensors"), framework="pt") as file:
        assert torch.equal(file.get_tensor("weight"), head.weight)  # rows c * K + k


def test_config_and_weights_rebuild_the_model(tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=16).eval()
    lz.whiten_neck(model, torch.randn(4, 3, 64, 64), progress=False)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["args"]["normalize_pooled"] is True  # which a plain state dict does not carry
    twin = lz.create_model(config["name"], **config["args"]).eval()
    from safetensors.torch import load_file

    twin.load_state_dict(load_file(tmp_path / "model.safetensors"))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(twin(x), model(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dtype_and_missing_margins_stay(tmp_path, dtype):
    head = lz.SubCenterArcFaceDynamic(8, 3, dtype=dtype)
    lz.losses.save_head(head, tmp_path)
    loaded, names = lz.load_head(f"local-dir:{tmp_path}")
    assert names is None
    assert torch.equal(loaded.weight, head.weight)
    assert loaded.weight.dtype == dtype
    assert loaded.margins is None


def test_a_head_of_before_does_not_stay(tmp_path):
    model, head = lz.create_model("efficientnet_lite0_gem"), head_with_everything()
    model.save_pretrained(tmp_path, head=head, class_names=list("abcd"))
    model.save_pretrained(tmp_path, head=head)
    assert not (tmp_path / "classes.json").exists()
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "head.safetensors").exists()
    with pytest.raises(FileNotFoundError, match="holds a model but no head"):
        lz.load_head(f"local-dir:{tmp_path}")


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    model, head = lz.create_model("efficientnet_lite0_gem"), head_with_everything()
    folder = tmp_path / "model"
    with pytest.raises(ValueError, match="got 2 class names for 4 classes"):
        model.save_pretrained(folder, head=head, class_names=["a", "b"])
    with pytest.raises(ValueError, match="give head="):
        model.save_pretrained(folder, class_names=["a", "b"])
    with pytest.raises(ValueError, match="vectors of size 512, the head takes 8"):
        model.save_pretrained(folder, head=lz.SubCenterArcFaceDynamic(8, 4))
    with pytest.raises(TypeError, match="must be a SubCenterArcFaceDynamic, got Linear"):
        model.save_pretrained(folder, head=torch.nn.Linear(512, 4))
    assert not folder.exists()


def test_damaged_and_foreign_files(tmp_path):
    lz.losses.save_head(head_with_everything(), tmp_path, list("abcd"))
    name, path = f"local-dir:{tmp_path}", tmp_path / "head.safetensors"
    whole = path.read_bytes()
    (tmp_path / "classes.json").write_text('["a", "b"]')
    with pytest.raises(ValueError, match="list of 4 names"):
        lz.load_head(name)
    (tmp_path / "classes.json").write_text('["a", ')
    with pytest.raises(ValueError, match=r"classes.json is damaged"):
        lz.load_head(name)
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"head.safetensors is damaged"):
        lz.load_head(name)
    save_file({"weight": torch.zeros(8, 512)}, str(path))
    with pytest.raises(ValueError, match="no head of this version"):
        lz.load_head(name)
    metadata = safe_metadata(whole, tmp_path)
    save_file({"weight": torch.zeros(8, 512)}, str(path), {"format": metadata["format"]})
    with pytest.raises(ValueError, match="the arguments of the head are missing"):
        lz.load_head(name)
    save_file({"weight": torch.zeros(7, 512)}, str(path), metadata)
    with pytest.raises(ValueError, match=r"has shape \[7, 512\], not \[8, 512\]"):
        lz.load_head(name)


def safe_metadata(content, folder):
    (folder / "copy.safetensors").write_bytes(content)
    with safe_open(str(folder / "copy.safetensors"), framework="pt") as file:
        return file.metadata()


def test_wrong_names(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        lz.load_head(f"local-dir:{tmp_path / 'nowhere'}")
    with pytest.raises(FileNotFoundError, match="does not hold one"):
        lz.load_head(f"local-dir:{tmp_path}")
    lz.losses.save_head(head_with_everything(), tmp_path)
    assert lz.load_head(tmp_path)[0].num_classes == 4  # a Path is a folder
    with pytest.raises(ValueError, match=f"a folder is 'local-dir:{tmp_path}'"):
        lz.load_head(str(tmp_path))
    with pytest.raises(ValueError, match="is a file: give its folder"):
        lz.load_head(f"local-dir:{tmp_path / 'head.safetensors'}")
    for names in ("abcd", {0: "a"}, {"a", "b", "c", "d"}):
        with pytest.raises(TypeError, match="must be a list in the order of the classes"):
            lz.losses.save_head(head_with_everything(), tmp_path, names)
    for name, right in (("dolg_efficientnet_b5", "local-dir:path"), ("hf-hub:", "hf-hub:org/repo")):
        with pytest.raises(ValueError, match=right):
            lz.load_head(name)


def test_arguments_of_a_newer_head(tmp_path):
    lz.losses.save_head(head_with_everything(), tmp_path)
    path = tmp_path / "head.safetensors"
    metadata = safe_metadata(path.read_bytes(), tmp_path)
    weight = {"weight": torch.zeros(8, 512)}
    for arguments, message in (
        ('{"embedding_dim": 512, "num_classes": 4, "rings": 2}', "rings"),
        ("null", ""),
    ):
        save_file(weight, str(path), {**metadata, "arguments": arguments})
        with pytest.raises(
            ValueError, match=f"head.safetensors is damaged or of a newer landmarkzoo: .*{message}"
        ):
            lz.load_head(f"local-dir:{tmp_path}")
    save_file(weight, str(path), {**metadata, "format": "landmarkzoo.head.v2"})
    with pytest.raises(ValueError, match="if a newer one wrote it, upgrade"):
        lz.load_head(f"local-dir:{tmp_path}")
