"""MegaLoc and SALAD in their authors' layouts become models that compute what a plain formulation does."""

import pytest
import reference_megaloc
import torch
from safetensors.torch import save_file

import landmarkzoo as lz

VIT = "vit_base_patch14_dinov2"
SIZES = [(126, 140), (224, 168), (518, 518)]
WRONG = {
    "without a dust bin": {"bin_": False},
    "two iterations": {"iterations": 2},
    "four iterations": {"iterations": 4},
    "positions resized as timm does": {"positions": "timm"},
    "the index of the cluster first": {"order": "cluster"},
    "clusters not normalised": {"norm": False},
}


@pytest.fixture
def name():
    """A registered model that only says which small transformer it has; sizes are read from the file."""
    args = {"backbone": VIT, "backbone_args": {"embed_dim": 64, "depth": 2, "num_heads": 2}}
    lz.register_model("tiny_megaloc", lz.SALAD(**args).cfg)
    return "tiny_megaloc"


def converted(state, name, folder, **arguments):
    save_file(state, folder / "model.safetensors")
    model, head = lz.convert_checkpoint(folder / "model.safetensors", name, **arguments)
    assert head is None
    return model.eval()


def farthest(model, images, expected):
    """The largest distance of a descriptor of length 1 from what it should be."""
    with torch.no_grad():
        ours = torch.nn.functional.normalize(model(images).double(), dim=1)
    return float((ours - expected).norm(dim=1).max())


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_megaloc_computes_what_the_plain_formulation_computes(name, height, width, tmp_path):
    state = reference_megaloc.random_state()
    model = converted(state, name, tmp_path)
    images = torch.randn(2, 3, height, width)
    assert farthest(model, images, reference_megaloc.descriptors(state, images, heads=2)) < 1e-5


@pytest.mark.parametrize("wrong", WRONG)
def test_each_way_to_get_it_wrong_is_far_off(name, wrong, tmp_path):
    state = reference_megaloc.random_state()
    model = converted(state, name, tmp_path)
    images = torch.randn(2, 3, 224, 168)
    assert (
        farthest(model, images, reference_megaloc.descriptors(state, images, heads=2, **WRONG[wrong])) > 1e-3
    )


@pytest.mark.slow
def test_megaloc_at_its_true_size(tmp_path):
    sizes = {"width": 768, "depth": 12, "cluster_dim": 256, "token": 256, "hidden": 512, "out": 8448}
    state = reference_megaloc.random_state(**sizes)
    lz.register_model("true_megaloc", lz.SALAD(VIT, embedding_dim=8448, cluster_dim=256).cfg)
    model = converted(state, "true_megaloc", tmp_path)
    assert model.embedding_dim == 8448
    images = torch.randn(1, 3, 126, 168)
    assert farthest(model, images, reference_megaloc.descriptors(state, images, heads=12)) < 1e-5


def test_sizes_are_read_from_the_file_and_what_is_given_wins(name, tmp_path):
    model = converted(reference_megaloc.random_state(), name, tmp_path)
    told = {"clusters": 64, "cluster_dim": 16, "token_dim": 24, "hidden_dim": 48, "embedding_dim": 96}
    assert {size: model.cfg.args[size] for size in told} == told
    assert model.cfg.args["position_resize"] == "dinov2"
    assert converted(reference_megaloc.random_state(), name, tmp_path, position_resize="timm").cfg.args[
        "position_resize"
    ] == ("timm")
    with pytest.raises(
        ValueError, match=r"aggregator.linear.weight has shape \(96, 1048\), not \(95, 1048\)"
    ):
        converted(reference_megaloc.random_state(), name, tmp_path, embedding_dim=95)


def test_positions_of_another_grid_and_missing_or_odd_tensors_are_refused(name, tmp_path):
    other = reference_megaloc.random_state(grid=16)
    with pytest.raises(ValueError, match=r"backbone.pos_embed has shape \(1, 257, 64\), not \(1, 1370, 64\)"):
        converted(other, name, tmp_path)
    state = reference_megaloc.random_state()
    del state["aggregator.agg.score.3.bias"]
    with pytest.raises(ValueError, match=r"aggregator\.agg\.score\.3\.bias is missing"):
        converted(state, name, tmp_path)
    odd = {**reference_megaloc.random_state(), "backbone.reg_token": torch.zeros(1, 4, 64)}
    with pytest.raises(ValueError, match=r"backbone\.reg_token fits nothing"):
        converted(odd, name, tmp_path)


def test_salad_in_its_own_layout(name, tmp_path):
    """As the authors save it: no Linear, the backbone in a wrapper, and a token that nothing needs."""
    state = reference_megaloc.random_state()
    moved = {"aggregator.agg.": "aggregator.", "backbone.": "backbone.model."}
    own = {"backbone.model.mask_token": torch.zeros(1, 64)}
    for theirs, tensor in state.items():
        prefix = next((prefix for prefix in moved if theirs.startswith(prefix)), None)
        if prefix:
            own[moved[prefix] + theirs.removeprefix(prefix)] = tensor
    torch.save({"state_dict": own}, tmp_path / "dino_salad.ckpt")
    model, head = lz.convert_checkpoint(tmp_path / "dino_salad.ckpt", name)
    assert (head, model.embedding_dim, model.neck.kind) == (None, 24 + 64 * 16, "none")
    images = torch.randn(2, 3, 168, 126)
    features, token = reference_megaloc.patches_and_token(state, images.double(), 2, "dinov2")
    expected = reference_megaloc.aggregate(state, features, token, 3, True, "feature", True)
    assert farthest(model.eval(), images, expected) < 1e-5


def test_a_download_computes_it_too(name, downloaded, tmp_path):
    state, images = reference_megaloc.random_state(), torch.randn(2, 3, 126, 140)
    save_file(state, tmp_path / "model.safetensors")
    model = downloaded(name, "megaloc", tmp_path / "model.safetensors")
    assert farthest(model, images, reference_megaloc.descriptors(state, images, heads=2)) < 1e-5
