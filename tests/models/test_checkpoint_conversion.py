"""Checkpoints in the layouts of other code become models that compute what that code computes."""

import logging

import numpy as np
import pytest
import reference_forward
import torch
from reference_layout import calibrate, randomize, reference_state_dict
from safetensors.torch import save_file

import landmarkzoo as lz
from landmarkzoo.models import convert_state_dict

DOLG, HYBRID = "dolg_efficientnet_b0", "hybrid_efficientnet_b0_swin_tiny_224"


def source(name, **arguments):
    torch.manual_seed(7)
    way = {"projection": "reference"} if name.startswith("dolg") else {"aggregation": "avg"}
    return randomize(lz.create_model(name, **way, **arguments))


def head_of(dim=512, classes=5, sub_centers=3):
    return lz.SubCenterArcFaceDynamic(dim, classes, sub_centers=sub_centers)


def assert_same(converted, model):
    assert type(converted) is type(model)
    assert dict(converted.cfg.args) == dict(model.cfg.args)
    ours, theirs = converted.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    assert [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])] == []
    images = torch.randn(1, *((3, 64, 64) if isinstance(model, lz.DOLG) else model.cfg.input_size))
    with torch.no_grad():
        assert torch.equal(converted.eval()(images), model(images))


@pytest.fixture(scope="module")
def dolg():
    return calibrate(source(DOLG), torch.randn(4, 3, 64, 96))


@pytest.fixture(scope="module")
def hybrid():
    return calibrate(source(HYBRID), torch.randn(2, 3, 448, 448))


@pytest.fixture
def dolg_state(dolg):
    return reference_state_dict(dolg)


@pytest.fixture
def hybrid_state(hybrid):
    return reference_state_dict(hybrid)


WRAPPINGS = {
    "plain": lambda state: state,
    "wrapped": lambda state: {"model": state, "optimizer": {"state": {0: {"step": 3}}}, "epoch": 7},
    "DDP": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "DDP of compiled": lambda state: {f"module._orig_mod.{name}": t for name, t in state.items()},
    "compiled DDP of DDP": lambda state: {f"_orig_mod.module.module.{name}": t for name, t in state.items()},
    "numbers of NumPy": lambda state: {
        "model": state,
        "best": np.float64(0.61),
        "step": np.int64(3),
        "margins": np.linspace(0, 1, 5, dtype=np.float32),
        "random": np.random.default_rng(0).bit_generator.state
        | {"legacy": ("MT19937", np.arange(624, dtype=np.uint32), 624, 0, 0.0)},
    },
    "wrapped DDP": lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_dolg_round_trip_bit_for_bit(wrapping, dolg, tmp_path):
    head = head_of()
    torch.save(WRAPPINGS[wrapping](reference_state_dict(dolg, head)), tmp_path / "checkpoint.pth")
    converted, new_head = lz.convert_checkpoint(tmp_path / "checkpoint.pth", DOLG)
    assert_same(converted, dolg)
    assert converted.cfg.name == DOLG
    assert converted.cfg.scores == ()
    assert torch.equal(new_head.weight, head.weight)
    assert (new_head.num_classes, new_head.sub_centers, new_head.margins) == (5, 3, None)
    x = torch.randn(2, 512)
    assert torch.equal(new_head.cosine(x), head.cosine(x))


def test_hybrid_round_trip_bit_for_bit(hybrid, hybrid_state, tmp_path, caplog):
    torch.save({"model": hybrid_state}, tmp_path / "checkpoint.pth")
    with caplog.at_level(logging.INFO, logger="landmarkzoo"):
        converted, head = lz.convert_checkpoint(str(tmp_path / "checkpoint.pth"), HYBRID)
    assert head is None
    assert_same(converted, hybrid)
    assert f"matched: {len(hybrid.state_dict())} tensors" in caplog.text


@torch.no_grad()
@pytest.mark.parametrize("stem_stride", [2, 1])
def test_dolg_computes_what_their_code_computes(dolg_state, stem_stride):
    model, _, _ = convert_state_dict(dolg_state, DOLG, stem_stride=stem_stride, dilations=(1, 2, 4))
    images = torch.randn(2, 3, 96, 64).double()
    expected = reference_forward.dolg(
        dolg_state, images, backbone="tf_efficientnet_b0", dilations=(1, 2, 4), stem_stride=stem_stride
    )
    assert torch.cosine_similarity(*expected, dim=0) < 0.95
    torch.testing.assert_close(model.eval().double()(images), expected, rtol=1e-9, atol=1e-9)
    exact, _, _ = convert_state_dict(
        dolg_state, DOLG, stem_stride=stem_stride, dilations=(1, 2, 4), projection="exact"
    )
    assert not torch.allclose(exact.eval().double()(images), expected, rtol=0.1, atol=0.1)


@torch.no_grad()
def test_hybrid_computes_what_their_code_computes(hybrid_state):
    model, _, _ = convert_state_dict(hybrid_state, HYBRID)
    images = torch.randn(2, 3, 448, 448).double()
    expected = reference_forward.hybrid(
        hybrid_state, images, cnn="tf_efficientnet_b0", level=8, depths=(2, 2, 6, 2), window=7
    )
    assert torch.cosine_similarity(*expected, dim=0) < 0.95
    torch.testing.assert_close(model.eval().double()(images), expected, rtol=1e-9, atol=1e-9)


def test_report_names_every_tensor(hybrid, hybrid_state):
    head = head_of()
    state = {f"module.{name}": t for name, t in reference_state_dict(hybrid, head).items()}
    _, _, report = convert_state_dict(state, HYBRID)
    matched, unused = report.matched, report.unused
    assert {*matched.values()} | unused.keys() == state.keys()
    assert not {*matched.values()} & unused.keys()
    assert matched.keys() == {*hybrid.state_dict(), "head.weight"}
    merging = matched["transformer.layers.1.downsample.reduction.weight"]
    assert merging == "module.backbone.layers.0.downsample.reduction.weight"
    assert "GeM" in unused["module.global_pool.p"]
    cnn = [name for name, why in unused.items() if why == "the CNN behind its map at level 8"]
    assert {int(name.split(".")[5]) for name in cnn} == {3, 4, 5, 6}  # module.backbone.patch_embed.backbone.
    derived = [name for name, why in unused.items() if why.startswith("derived")]
    assert len(derived) == 12 + 5  # an index in each block; masks where windows are shifted
    assert len(cnn) + len(derived) + 1 == len(unused)
    assert report.missing_keys == ()
    text = str(report)
    assert text.startswith(f"matched: {len(matched)} tensors\n")
    assert f"unused: {len(cnn)} tensors, the CNN behind its map at level 8: module.backbone." in text
    assert "cnn_level=8, read from the 40 channels" in text
    assert text.endswith("head: 5 classes, 3 centers each")


def test_what_dolg_checkpoints_do_not_tell_is_said(dolg_state):
    _, _, report = convert_state_dict(dolg_state, DOLG)
    assert report.notes == (
        "dilations=(3, 6, 9), stem_stride=2: registered or as given, a checkpoint does not tell",
    )
    assert report.unused == {}


def test_half_precision(dolg):
    half = {
        name: tensor.half() if tensor.is_floating_point() and "bn_g" not in name else tensor
        for name, tensor in reference_state_dict(dolg, head_of()).items()
    }
    model, head, _ = convert_state_dict(half, DOLG)
    assert {p.dtype for p in (*model.parameters(), *head.parameters())} == {torch.float32}
    assert torch.equal(model.global_project.weight, half["conv_g.weight"].float())
    assert torch.equal(model.global_norm.running_var, dolg.global_norm.running_var)
    assert torch.equal(head.weight, half["head.weight"].float())


def test_a_state_dict_that_was_halved_as_a_whole(dolg, dolg_state):
    state = {name: tensor.half() for name, tensor in dolg_state.items()}
    state["bn_g.num_batches_tracked"] = torch.tensor(70000.0).half()
    assert state["bn_g.num_batches_tracked"].isinf()
    model, _, _ = convert_state_dict(state, DOLG)
    assert model.global_norm.num_batches_tracked > 0
    assert torch.equal(model.neck[1].num_batches_tracked, dolg.neck[1].num_batches_tracked)


def test_counters_of_batches_may_be_missing(dolg, dolg_state):
    state = {name: t for name, t in dolg_state.items() if not name.endswith("num_batches_tracked")}
    model, _, report = convert_state_dict(state, DOLG)
    assert len(report.missing_keys) == len(dolg_state) - len(state)
    assert "global_norm.num_batches_tracked" in report.missing_keys
    assert "left as made" in str(report)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), dolg(images))


def test_the_head_may_have_other_centers(dolg):
    state = reference_state_dict(dolg, head_of(classes=5, sub_centers=2))
    _, head, _ = convert_state_dict(state, DOLG, sub_centers=2)
    assert (head.num_classes, head.sub_centers) == (5, 2)
    for wrong in (3, 0):
        with pytest.raises(ValueError, match=rf"head.weight has shape \(10, 512\).*sub_centers={wrong}"):
            convert_state_dict(state, DOLG, sub_centers=wrong)
    state = reference_state_dict(dolg, head_of(dim=256))
    with pytest.raises(ValueError, match="size 256, the model gives 512: say embedding_dim=256"):
        convert_state_dict(state, DOLG)


def test_other_arguments(dolg_state):
    model, _, _ = convert_state_dict(dolg_state, DOLG, dilations=(6, 12, 18))
    assert model.cfg.args["dilations"] == (6, 12, 18)
    with pytest.raises(ValueError, match=r"no argument 'dilation'\. Did you mean dilations"):
        convert_state_dict(dolg_state, DOLG, dilation=3)
    with pytest.raises(ValueError, match="all weights come from the checkpoint"):
        convert_state_dict(dolg_state, DOLG, pretrained_backbone=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_h.weight": torch.zeros(1)}, "conv_h.weight fits nothing"),
        ({"mam.d3.weight": torch.zeros(1)}, "mam.d3.weight fits nothing"),
        ({"backbone.conv_head.weight": torch.zeros(1)}, "backbone.conv_head.weight fits nothing"),
        ({"attention2d.bn.bias": None}, "attention2d.bn.bias is missing"),
        ({"attention2d.bn.running_var": None}, "attention2d.bn.running_var is missing"),
        ({"conv_g.bias": torch.zeros(8)}, r"conv_g.bias has shape \(8,\), not \(1024,\)"),
        ({"conv_g.bias": torch.zeros(1024, dtype=torch.int8)}, "conv_g.bias has dtype torch.int8"),
        ({"module.conv_g.bias": torch.zeros(1024)}, "module.conv_g.bias fits nothing"),
        ({"_orig_mod.conv_g.bias": torch.zeros(1024)}, "conv_g.bias' twice, with and without '_orig_mod.'"),
        (
            {"mam.conv1.weight": None},
            "it has no mam.conv1.weight or localmodel.conv1.weight, but backbone.conv_stem.weight",
        ),
        ({"names": ["a"]}, "in this one not all values are tensors: names"),
        ({f"x{i}": torch.zeros(1) for i in range(5)}, "x2 fits nothing, and 2 more. Is it one of another"),
    ],
)
def test_tensors_that_do_not_fit_dolg(dolg_state, change, message):
    state = {**dolg_state, **change}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        convert_state_dict(state, DOLG)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"global_pool.q": torch.zeros(1)}, "global_pool.q fits nothing"),
        ({"backbone.patch_embed.norm.weight": torch.zeros(1)}, "patch_embed.norm.weight fits nothing"),
        (
            {"backbone.patch_embed.backbone.blocks.7.0.conv_pw.weight": torch.zeros(1)},
            "blocks.7.0.conv_pw.weight fits nothing",
        ),
        # where newer timm has the merging of the last stage, which is taken already
        (
            {"backbone.layers.3.downsample.norm.weight": torch.zeros(1536)},
            "backbone.layers.3.downsample.norm.weight fits nothing",
        ),
        ({"backbone.layers.2.downsample.norm.weight": None}, "backbone.layers.2.downsample.norm.weight is m"),
        (
            {"backbone.patch_embed.proj.weight": None},
            "of a hybrid: it has no backbone.patch_embed.proj.weight",
        ),
        ({"backbone.patch_embed.proj.bias": None}, "backbone.patch_embed.proj.bias is missing"),
        ({"backbone.patch_embed.proj.weight": torch.zeros(96, 40)}, r"shape \(96, 40\), not \(out, in, 1, 1"),
        ({"backbone.patch_embed.proj.weight": torch.zeros(96, 40, 2, 2)}, r"not \(96, 40, 1, 1\)"),
        (
            {"backbone.patch_embed.proj.weight": torch.zeros(96, 48, 1, 1)},
            "24 at level 4, 40 at level 8, 112",
        ),
    ],
)
def test_tensors_that_do_not_fit_a_hybrid(hybrid_state, change, message):
    state = {**hybrid_state, **change}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        convert_state_dict(state, HYBRID)


def test_the_token_is_not_in_their_checkpoints(hybrid_state):
    with pytest.raises(ValueError, match="position is missing, token is missing"):
        convert_state_dict(hybrid_state, HYBRID, aggregation="token")


def test_an_image_that_fits_no_stem_is_refused_with_those_that_fit(hybrid_state):
    with pytest.raises(ValueError, match=r"images are 300x300 px.* sides from 441 to 448 px"):
        convert_state_dict(hybrid_state, HYBRID, image_size=300)
    with pytest.raises(ValueError, match="sides from 221 to 224 px"):
        convert_state_dict(hybrid_state, HYBRID, image_size=448, stem_stride=1)


def test_names_of_other_models(dolg_state, hybrid_state):
    with pytest.raises(ValueError, match=f"a checkpoint of a HybridSwin, but '{DOLG}' is a DOLG"):
        convert_state_dict(hybrid_state, DOLG)
    with pytest.raises(ValueError, match=f"a checkpoint of a DOLG, but '{HYBRID}' is a HybridSwin"):
        convert_state_dict(dolg_state, HYBRID)
    with pytest.raises(ValueError, match="does not fit 'dolg_efficientnet_lite0'"):
        convert_state_dict(dolg_state, "dolg_efficientnet_lite0")
    with pytest.raises(
        ValueError, match="a checkpoint of a DOLG, but 'efficientnet_b3' is a GlobalDescriptor"
    ):
        convert_state_dict(dolg_state, "efficientnet_b3")
    with pytest.raises(ValueError, match="Did you mean dolg_efficientnet_b"):
        convert_state_dict(dolg_state, "dolg_efficientnet_b")
    with pytest.raises(ValueError, match="this one is empty"):
        convert_state_dict({}, DOLG)
    with pytest.raises(ValueError, match="this one is a list"):
        convert_state_dict([1], DOLG)


def test_safetensors_and_legacy_files(dolg, dolg_state, tmp_path):
    save_file(dolg_state, str(tmp_path / "checkpoint.safetensors"))
    assert_same(lz.convert_checkpoint(tmp_path / "checkpoint.safetensors", DOLG)[0], dolg)
    torch.save(dolg_state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    assert_same(lz.convert_checkpoint(tmp_path / "legacy.pth", DOLG)[0], dolg)


def test_the_model_does_not_hold_on_to_the_file(dolg, dolg_state, tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": dolg_state, "head": head_of().state_dict()}, path)
    model, _ = lz.convert_checkpoint(path, DOLG)
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)  # in place, where the file was mapped
    assert_same(model, dolg)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dolg_efficientnet_b5", "dolg_efficientnet_b6", "dolg_efficientnet_b7"])
def test_the_dolg_models_of_the_paper(name):
    model, head = source(name), head_of(classes=100)
    converted, new_head, report = convert_state_dict({"model": reference_state_dict(model, head)}, name)
    assert converted.cfg.args["stem_stride"] == (1 if name.endswith("b7") else 2)
    assert_same(converted, model)
    assert torch.equal(new_head.weight, head.weight)
    assert report.unused == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("hybrid_efficientnet_b3_swin_base_224", {}),
        ("hybrid_efficientnet_b5_swin_base_224", {}),
        ("hybrid_efficientnet_b6_swin_base_384", {}),
        # as the authors' configuration of it
        ("hybrid_efficientnet_b6_swin_base_384", {"cnn_level": 4, "stem_stride": 2}),
    ],
)
def test_the_hybrids_of_the_paper(name, given):
    model, head = source(name, **given), head_of(classes=100)
    converted, new_head, report = convert_state_dict({"model": reference_state_dict(model, head)}, name)
    assert_same(converted, model)
    assert torch.equal(new_head.weight, head.weight)
    assert len(report.matched) == len(model.state_dict()) + 1
