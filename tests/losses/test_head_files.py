import inspect
import json
from contextlib import contextmanager

import pytest
import torch
from each_head import each_head
from safetensors import safe_open
from safetensors.torch import save_file
from torch import distributed as dist

import landmarkzoo as lz

# Every argument of a head, none at its default.
EVERYTHING = {
    lz.SubCenterArcFaceDynamic: {
        "class_counts": [9, 3, 5, 1],
        "sub_centers": 2,
        "scale": 30.0,
        "label_smoothing": 0.1,
        "class_weights": [1.0, 2.0, 3.0, 4.0],
        "reduction": "sum",
        "matmul_dtype": "float32",
        "sample_rate": 1.0,
    },
    lz.losses.CosFace: {"margin": 0.2, "scale": 30.0},
}


@pytest.fixture(params=EVERYTHING, ids=lambda head_class: head_class.__name__)
def head(request):
    return request.param(512, 4, **EVERYTHING[request.param])


def test_round_trip_gives_the_same_loss_and_names(tmp_path, head):
    model = lz.create_model("efficientnet_lite0_gem")
    names = ["Taj Mahal", "Brandenburger Tor", "故宫", "Sagrada Família"]
    model.save_pretrained(tmp_path / "new" / "model", head=head, class_names=names)
    folder = tmp_path / "new" / "model"
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.json", "config.json", "head.safetensors", "model.safetensors",
    ]  # fmt: skip
    loaded, class_names = lz.load_head(f"local-dir:{folder}")
    assert class_names == names
    assert type(loaded) is type(head)
    x, y = torch.randn(6, 512), torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(loaded(x, y), head(x, y), rtol=0, atol=0)
    assert repr(loaded) == repr(head)
    assert (loaded.arguments(), list(loaded.per_class())) == (head.arguments(), list(head.per_class()))
    assert loaded.weight.requires_grad
    with safe_open(str(folder / "head.safetensors"), framework="pt") as file:
        assert torch.equal(file.get_tensor("weight"), head.weight)  # rows c * K + k


def test_every_argument_is_tried():
    others = {"embedding_dim", "num_classes", "margins", "process_group", "device", "dtype"}
    for head_class, arguments in EVERYTHING.items():
        assert set(inspect.signature(head_class).parameters) <= others | set(arguments)


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


@each_head
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_stays_and_so_does_what_is_missing(tmp_path, make_head, dtype):
    head = make_head(8, 3, dtype=dtype)
    lz.losses.save_head(head, tmp_path)
    loaded, names = lz.load_head(f"local-dir:{tmp_path}")
    assert names is None
    assert torch.equal(loaded.weight, head.weight)
    assert loaded.weight.dtype == dtype
    lz.losses.save_head(lz.SubCenterArcFaceDynamic(8, 3), tmp_path)
    assert lz.load_head(tmp_path)[0].margins is None


@each_head
def test_a_loaded_head_trains_on(tmp_path, make_head):
    head, x, y = make_head(8, 3), torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    lz.losses.save_head(head, tmp_path)
    loaded, _ = lz.load_head(tmp_path)
    for one in (head, loaded):
        one(x, y).backward()
        torch.optim.SGD(one.parameters(), lr=0.1).step()
    assert torch.equal(loaded.weight, head.weight)


def test_a_head_of_before_does_not_stay(tmp_path, head):
    model = lz.create_model("efficientnet_lite0_gem")
    model.save_pretrained(tmp_path, head=head, class_names=list("abcd"))
    model.save_pretrained(tmp_path, head=head)
    assert not (tmp_path / "classes.json").exists()
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "head.safetensors").exists()
    with pytest.raises(FileNotFoundError, match="holds a model but no head"):
        lz.load_head(f"local-dir:{tmp_path}")


@each_head
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, head, make_head):
    model = lz.create_model("efficientnet_lite0_gem")
    folder = tmp_path / "model"
    with pytest.raises(ValueError, match="got 2 class names for 4 classes"):
        model.save_pretrained(folder, head=head, class_names=["a", "b"])
    with pytest.raises(ValueError, match="give head="):
        model.save_pretrained(folder, class_names=["a", "b"])
    with pytest.raises(ValueError, match="vectors of size 512, the head takes 8"):
        model.save_pretrained(folder, head=make_head(8, 4))
    with pytest.raises(TypeError, match=r"must be a lz.losses.Head, such as .*, got Linear"):
        model.save_pretrained(folder, head=torch.nn.Linear(512, 4))
    own = type("Own", (type(head),), {})(512, 4)
    with pytest.raises(TypeError, match="Own is not registered, so a saved Own could not be loaded"):
        model.save_pretrained(folder, head=own)
    assert not folder.exists()


def test_damaged_and_foreign_files(tmp_path, head):
    lz.losses.save_head(head, tmp_path, list("abcd"))
    rows = len(head.weight)
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
    save_file({"weight": torch.zeros(rows, 512)}, str(path))
    with pytest.raises(ValueError, match="not written by this version of landmarkzoo"):
        lz.load_head(name)
    metadata = safe_metadata(whole, tmp_path)
    save_file({"weight": torch.zeros(rows, 512)}, str(path), {"format": metadata["format"]})
    with pytest.raises(ValueError, match="class or arguments of the head are missing"):
        lz.load_head(name)
    save_file({"weight": torch.zeros(rows - 1, 512)}, str(path), metadata)
    with pytest.raises(ValueError, match=rf"has shape \[{rows - 1}, 512\], not \[{rows}, 512\]"):
        lz.load_head(name)


def safe_metadata(content, folder):
    (folder / "copy.safetensors").write_bytes(content)
    with safe_open(str(folder / "copy.safetensors"), framework="pt") as file:
        return file.metadata()


def test_wrong_names(tmp_path, head):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        lz.load_head(f"local-dir:{tmp_path / 'nowhere'}")
    with pytest.raises(FileNotFoundError, match="does not hold one"):
        lz.load_head(f"local-dir:{tmp_path}")
    lz.losses.save_head(head, tmp_path)
    assert lz.load_head(tmp_path)[0].num_classes == 4  # a Path is a folder
    with pytest.raises(ValueError, match=f"a folder is 'local-dir:{tmp_path}'"):
        lz.load_head(str(tmp_path))
    with pytest.raises(ValueError, match="is a file: give its folder"):
        lz.load_head(f"local-dir:{tmp_path / 'head.safetensors'}")
    for names in ("abcd", {0: "a"}, {"a", "b", "c", "d"}):
        with pytest.raises(TypeError, match="must be a list in the order of the classes"):
            lz.losses.save_head(head, tmp_path, names)
    for name, right in (("dolg_efficientnet_b5", "local-dir:path"), ("hf-hub:", "hf-hub:org/repo")):
        with pytest.raises(ValueError, match=right):
            lz.load_head(name)


def test_arguments_of_a_newer_head(tmp_path, head):
    lz.losses.save_head(head, tmp_path)
    path = tmp_path / "head.safetensors"
    metadata = safe_metadata(path.read_bytes(), tmp_path)
    weight = {"weight": torch.zeros(len(head.weight), 512)}
    for changes, message in (
        (
            {"arguments": '{"embedding_dim": 512, "rings": 2}'},
            "cannot build the .*rings.*Is it of a newer landmarkzoo",
        ),
        ({"arguments": '{"embedding_dim": 512, "num_classes": -4}'}, "num_classes must be a positive"),
        ({"arguments": "null"}, "damaged: class or arguments"),
        ({"class": "CosFaces"}, "a CosFaces, which is not registered. Did you mean CosFace?"),
        ({"class": "Unheard"}, r"a Unheard, which is not registered. Import .* or upgrade .*CosFace"),
    ):
        save_file(weight, str(path), {**metadata, **changes})
        with pytest.raises(ValueError, match=message) as refused:
            lz.load_head(f"local-dir:{tmp_path}")
        assert str(path) in str(refused.value)
    save_file(weight, str(path), {**metadata, "format": "landmarkzoo.head.v2"})
    with pytest.raises(ValueError, match="if a newer one wrote it, upgrade"):
        lz.load_head(f"local-dir:{tmp_path}")


def test_a_head_that_cannot_be_split_says_so(tmp_path):
    lz.losses.save_head(lz.losses.CosFace(8, 3), tmp_path)
    with (
        pytest.raises(ValueError, match="the classes of a CosFace cannot be split over a process_group"),
        one_process_group(tmp_path) as group,
    ):
        lz.load_head(tmp_path, process_group=group)


@contextmanager
def one_process_group(folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=0, world_size=1)
    try:
        yield dist.group.WORLD
    finally:
        dist.destroy_process_group()


def test_a_head_of_ones_own_is_saved_and_loaded(tmp_path):
    class DotProducts(lz.losses.Head):
        def __init__(self, embedding_dim, num_classes, *, temperature=0.1, device=None, dtype=None):
            super().__init__(embedding_dim, num_classes)
            self.temperature = temperature
            weight = torch.empty(num_classes, embedding_dim, device=device, dtype=dtype)
            self.weight = torch.nn.Parameter(weight)
            self.reset_parameters()

        def cosine(self, embeddings):
            return torch.nn.functional.cosine_similarity(embeddings[:, None], self.weight, dim=2)

        def forward(self, embeddings, labels):
            return torch.nn.functional.cross_entropy(self.cosine(embeddings) / self.temperature, labels)

    lz.losses.register_head(DotProducts)
    head = DotProducts(8, 3, temperature=0.5)
    lz.losses.save_head(head, tmp_path)
    loaded, _ = lz.load_head(tmp_path)
    x, y = torch.randn(5, 8), torch.tensor([0, 1, 2, 0, 1])
    assert torch.equal(loaded(x, y), head(x, y))
    assert torch.equal(loaded.predict(x, k=1).classes[:, 0], head.cosine(x).argmax(dim=1))
