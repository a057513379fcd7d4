"""What a fine-tuning starts from, over the whole zoo: each model trains, or says what is missing."""

import pytest
import torch
from whole_trainings import QUICK

import landmarkzoo as lz
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.starting_models import (
    can_be_whitened,
    choose_trained_part,
    fitting_size,
    identity_of,
    is_plain_transformer,
    starting_model,
)

QUICK_ONES = ["efficientnet_lite0_gem", "dolg_efficientnet_lite0", "dinov2_vit_small", "cosplace_resnet18"]
LARGE_ONES = ["hybrid_efficientnet_b3_swin_base_224", "dolg_efficientnet_b5"]


def all_models():
    """Each kind is trained in CI, its other sizes by hand: they take minutes and say the same."""
    marks = dict.fromkeys(lz.list_models(), pytest.mark.zoo)
    marks |= dict.fromkeys(LARGE_ONES, pytest.mark.slow) | dict.fromkeys(QUICK_ONES, ())
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.mark.parametrize("name", all_models())
def test_every_model_of_the_zoo_can_be_fine_tuned(name, noise, tmp_path):
    """With random weights, as those of the others are not here; by name it says which are missing."""
    torch.manual_seed(0)
    less = {**QUICK, "epochs": 1, "batch_size": 2, "image_size": 16, "test_size": 16, "validation": 0.25}
    photos = lz.datasets.ImageFolder(noise)
    few = torch.utils.data.Subset(photos, [0, 1, 2, 8, 9, 10])
    result = lz.finetune(few, tmp_path / "out", model=lz.create_model(name), **less)
    assert len(result.history) == 1
    assert result.after.metrics[0] == "mAP@100"
    trained = lz.create_model(f"local-dir:{tmp_path / 'out'}")
    trained.size_rule.check_size(*trained.cfg.input_size[1:])


@pytest.mark.parametrize("name", ["dolg_efficientnet_b0", "dinov2_vit_small"])
def test_weights_that_are_not_here_are_named(name, noise, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises((lz.WeightsNotFoundError, ConnectionError), match=r"efficientnet_b0|vit_small"):
        lz.finetune(noise, tmp_path / "out", model=name, **QUICK)
    assert not (tmp_path / "out").exists()


def test_a_registered_name_starts_from_imagenet_and_is_to_be_whitened():
    start = starting_model("efficientnet_lite0_gem", Recipe())
    assert not start.is_trained
    twin = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True)
    assert torch.equal(start.model.backbone.conv_stem.weight, twin.backbone.conv_stem.weight)
    assert can_be_whitened(start.model)


def test_a_dolg_starts_with_the_descriptor_of_the_whole_backbone():
    args = starting_model("dolg_efficientnet_lite0", Recipe()).model.cfg.args
    assert (args["global_map"], args["hidden_dim"], args["dilations"]) == ("head", 1280, (3, 6, 9))
    own = starting_model("dolg_efficientnet_lite0", Recipe(model_args={"hidden_dim": 64})).model.cfg.args
    assert (own["global_map"], own["hidden_dim"]) == ("stage", 64)


@pytest.mark.parametrize("seed", [0, 1])
def test_new_layers_are_those_of_the_seed(seed):
    models = [starting_model("dolg_efficientnet_lite0", Recipe(seed=s)).model for s in (0, seed)]
    weights = [model.multi_atrous.project.weight for model in models]
    assert torch.equal(*weights) == (seed == 0)


def test_a_saved_model_and_one_in_memory_keep_their_neck(tiny, noise, tmp_path):
    saved = lz.create_model(tiny)
    for model in (tiny, saved):
        start = starting_model(model, Recipe())
        assert start.is_trained
        assert torch.equal(start.model.neck[0].weight, saved.neck[0].weight)
    assert not starting_model(saved, Recipe()).model.neck.normalize_input


def test_arguments_for_a_model_that_is_made_already_are_refused(tiny):
    recipe = Recipe(model_args={"embedding_dim": 8})
    with pytest.raises(ValueError, match="made already"):
        starting_model(lz.create_model(tiny), recipe)


def test_a_tag_asks_for_landmark_weights(noise, tmp_path):
    with pytest.raises(ValueError, match="its authors published them as two ONNX files"):
        lz.finetune(noise, tmp_path / "out", model="dolg_efficientnet_b5.gldv2x", **QUICK)
    with pytest.raises(ValueError, match=r"landmarkzoo has no model 'efficientnet_lite0'\. Did you mean"):
        lz.finetune(noise, tmp_path / "out", model="efficientnet_lite0", **QUICK)
    with pytest.raises(TypeError, match="model is a name, such as"):
        lz.finetune(noise, tmp_path / "out", model=3, **QUICK)


def test_the_tag_of_the_package_starts_from_its_weights_and_the_name_alone_does_not():
    start = starting_model("efficientnet_lite0_gem.rendered", Recipe())
    assert start.is_trained
    packaged = lz.create_model("efficientnet_lite0_gem", pretrained=True)
    for ours, theirs in zip(start.model.parameters(), packaged.parameters()):
        assert torch.equal(ours, theirs)
        assert ours.dtype == torch.float32
    assert not starting_model("efficientnet_lite0_gem", Recipe()).is_trained


def test_what_was_fine_tuned_does_not_pass_for_what_it_started_from(noise, tmp_path):
    quick = {**QUICK, "epochs": 1, "trainable": 0, "validation": None}
    lz.finetune(noise, tmp_path / "out", model="efficientnet_lite0_gem.rendered", **quick)
    cfg = lz.create_model(f"local-dir:{tmp_path / 'out'}").cfg
    assert (cfg.name, cfg.weights, cfg.license) == ("efficientnet_lite0_gem", None, None)
    assert cfg.scores == ()
    assert cfg.training_data != lz.get_model_cfg("efficientnet_lite0_gem.rendered").training_data


def test_identity_is_that_of_the_weights(tiny):
    model, twin = lz.create_model(tiny), lz.create_model(tiny)
    assert identity_of(model) == identity_of(twin) != identity_of(lz.GlobalDescriptor("test_efficientnet"))
    assert identity_of("efficientnet_lite0_gem") == "efficientnet_lite0_gem"


def test_a_neck_that_cannot_be_a_whitening_is_said():
    model = lz.GlobalDescriptor("test_efficientnet", neck="fc-silu")
    with pytest.warns(UserWarning, match="the neck 'fc-silu' of GlobalDescriptor starts at random"):
        assert not can_be_whitened(model)
    assert not can_be_whitened(lz.GlobalDescriptor("test_efficientnet", neck="none"))


def names_of_trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_batch_norms_stay_and_all_else_of_a_cnn_moves(tiny):
    model = lz.create_model(tiny)
    choose_trained_part(model, "auto")
    norms = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    }
    trained = names_of_trained(model)
    for name, _ in model.named_parameters():
        assert (name in trained) == (name.rpartition(".")[0] not in norms), name
    assert not any(model.train().get_submodule(name).training for name in norms)


@pytest.mark.parametrize(("trainable", "blocks"), [("auto", 4), (2, 2), (0, 0), ("all", 12)])
def test_the_last_blocks_of_a_transformer_move(trainable, blocks):
    model = lz.create_model("dinov2_vit_small")
    assert is_plain_transformer(model)
    assert is_plain_transformer(lz.create_model("dinov3_vit_small"))
    for name in ("efficientnet_lite0_gem", "hybrid_efficientnet_b0_swin_tiny_224"):
        assert not is_plain_transformer(lz.create_model(name))
    if trainable == 0:
        model = lz.GlobalDescriptor("vit_small_patch14_dinov2", pool="cls", neck="fc")
    choose_trained_part(model, trainable)
    trained = names_of_trained(model)
    moving = {int(name.split(".")[2]) for name in trained if name.startswith("backbone.blocks.")}
    assert moving == set(range(12 - blocks, 12))
    assert ("backbone.pos_embed" in trained) == (trainable == "all")
    assert ("backbone.norm.weight" in trained) == (trainable != 0)
    if trainable == 2:
        model.train()
        assert not model.backbone.blocks[0].training
        assert model.backbone.blocks[11].training


@pytest.mark.parametrize(
    ("name", "wanted", "size"),
    [
        ("efficientnet_lite0_gem", 256, (256, 256)),
        ("dinov2_vit_small", 256, (252, 252)),
        ("dinov3_vit_small", 100, (96, 96)),
        ("hybrid_efficientnet_b0_swin_tiny_224", 256, (441, 441)),
        ("hybrid_efficientnet_b0_swin_tiny_224", 900, (448, 448)),
    ],
)
def test_sizes_are_those_that_a_model_takes(name, wanted, size):
    model = lz.create_model(name)
    assert fitting_size(model, wanted) == size
    model.size_rule.check_size(*size)
