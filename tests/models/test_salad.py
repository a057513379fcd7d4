"""SALAD: one pass through the transformer, image sizes, and all that other models can. Its numbers are tested
against a plain formulation in ``tests/hub/convert/test_megaloc.py``."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz

VIT = "vit_base_patch14_dinov2"
SMALL = {"embed_dim": 32, "depth": 3, "num_heads": 2}


def salad(**arguments):
    torch.manual_seed(0)
    sizes = {"cluster_dim": 6, "token_dim": 10, "hidden_dim": 12, "backbone_args": SMALL}
    model = lz.SALAD(VIT, **{**sizes, "position_resize": "dinov2", **arguments}).eval()
    torch.nn.init.normal_(model.backbone.pos_embed)
    return model


@torch.no_grad()
def test_map_and_token_come_from_one_pass():
    model, passes = salad(), []
    model.backbone.norm.register_forward_hook(lambda *_: passes.append(1))
    x = torch.randn(2, 3, 126, 168)
    features, token = model.forward_features(x)
    assert (features.shape, token.shape, len(passes)) == ((2, 32, 9, 12), (2, 32), 1)
    tokens = model.backbone.forward_features(x)
    torch.testing.assert_close(token, tokens[:, 0])
    torch.testing.assert_close(features[:, :, 2, 5], tokens[:, 1 + 2 * 12 + 5])


@torch.no_grad()
def test_with_and_without_a_linear_behind_it():
    without, x = salad(), torch.randn(2, 3, 126, 140)
    assert without.embedding_dim == without.cfg.embedding_dim == 10 + 64 * 6
    out = without(x)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(2), rtol=0, atol=1e-6)
    torch.testing.assert_close(out, without.forward_pooled(x))
    model = salad(embedding_dim=20)
    model.load_state_dict(without.state_dict(), strict=False)
    assert [type(layer) for layer in model.neck] == [torch.nn.Linear]
    torch.testing.assert_close(model(x), F.linear(out, model.neck[0].weight, model.neck[0].bias))


def test_sizes_of_salad_and_megaloc():
    with torch.device("meta"):
        assert lz.SALAD(VIT).embedding_dim == 8448
        megaloc = lz.SALAD(VIT, cluster_dim=256, embedding_dim=8448, position_resize="dinov2")
    assert megaloc.neck.in_features == 16640
    assert sum(p.numel() for p in megaloc.parameters()) == 228_639_553


def test_images_need_multiples_of_a_patch_and_more_patches_than_clusters():
    model = salad()
    assert (model.size_rule.minimum, model.size_rule.multiple) == (126, 14)
    with pytest.raises(ValueError, match="at least 126x126 px"):
        model(torch.zeros(1, 3, 112, 322))
    with pytest.raises(ValueError, match="multiples of 14, such as 322x224"):
        model(torch.zeros(1, 3, 320, 224))
    assert salad(clusters=8).size_rule.minimum == 42
    assert salad(clusters=9).size_rule.minimum == 56
    assert lz.SALAD("test_vit", clusters=16, cluster_dim=4).size_rule.minimum == 80  # patches of 16 px


@pytest.mark.parametrize("embedding_dim", [None, 20])
def test_saved_and_loaded_it_is_the_same(embedding_dim, tmp_path):
    model = salad(embedding_dim=embedding_dim, dropout=0.1, clusters=7)
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(tmp_path).eval()
    assert loaded.cfg == model.cfg
    x = torch.randn(1, 3, 126, 140)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


@torch.no_grad()
def test_embed_gives_what_the_model_gives_whatever_its_mode():
    model, x = salad(embedding_dim=20), torch.randn(3, 3, 126, 140)
    expected = F.normalize(model(x), dim=1).numpy()
    model.train()
    found = lz.embed(model, x, batch_size=2, precision="float32", progress=False).vectors
    assert model.training
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_compiled_and_exported_with_any_batch():
    model, x = salad(embedding_dim=20), torch.randn(3, 3, 126, 140)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for images in (x, torch.randn(2, 3, 140, 154)):
        torch.testing.assert_close(compiled(images), model(images))
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (x[:2],), dynamic_shapes=({0: batch},)).module()
    for size in (1, 3):
        torch.testing.assert_close(program(x[:size]), model(x[:size]), rtol=0, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_onnx_takes_any_batch(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxscript onnxruntime")
    model = salad(embedding_dim=20, backbone_args={**SMALL, "img_size": 518})
    lz.export_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    x = torch.randn(3, *model.cfg.input_size)
    for size in (1, 3):
        (out,) = session.run(["descriptors"], {"images": x[:size].numpy()})
        torch.testing.assert_close(torch.from_numpy(out), model(x[:size]), rtol=0, atol=1e-5)


def test_training_reaches_all_parts_and_frozen_ones_stay():
    model, x = salad(embedding_dim=20).train(), torch.randn(2, 3, 126, 126)
    model(x).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    lz.freeze(model, "backbone", "aggregation")
    model.train()
    assert torch.equal(model(x), model(x))  # without dropout
    groups = lz.parameter_groups(model, lr=1.0)
    assert sum(len(group["params"]) for group in groups) == len(list(model.neck.parameters()))


def test_layers_have_smaller_steps_towards_the_input():
    model = salad()
    groups = lz.parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    found = {p: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert found[model.aggregation.dust_bin] == (1.0, 0.0)
    assert found[model.aggregation.score[3].weight] == (1.0, 0.1)
    assert found[model.backbone.norm.weight][0] == 0.5
    assert found[model.backbone.blocks[2].mlp.fc1.weight] == (0.5, 0.1)
    assert found[model.backbone.pos_embed] == (0.5**4, 0.0)


def test_gradient_checkpointing_gives_the_same_gradients():
    plain, x = salad(), torch.randn(1, 3, 126, 126)
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    for model in (plain, saving):
        model(x)[:, :50].sum().backward()
    for one, other in zip(plain.parameters(), saving.parameters()):
        torch.testing.assert_close(other.grad, one.grad)


def test_whitened_neck():
    model = salad(embedding_dim=5)
    lz.whiten_neck(model, torch.randn(12, 3, 126, 126), progress=False)
    assert model.cfg.args["normalize_pooled"]
    with pytest.raises(ValueError, match="'none' has no Linear layer to whiten"):
        lz.whiten_neck(salad(), torch.randn(12, 3, 126, 126), progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 0}, "clusters must be a positive integer, got 0"),
        ({"hidden_dim": 1.5}, "hidden_dim must be a positive integer"),
        ({"embedding_dim": 0}, "embedding_dim must be a positive integer"),
        ({"dropout": 1}, r"dropout must be in \[0, 1\)"),
        ({"position_resize": "bilinear"}, "position_resize must be one of"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        salad(**arguments)


def test_wrong_backbones():
    with pytest.raises(ValueError, match=r"a class token, such as .*; 'resnet18' has none"):
        lz.SALAD("resnet18")
    with pytest.raises(TypeError, match="a timm model is given by its name"):
        lz.SALAD(torch.nn.Conv2d(3, 8, 1))
