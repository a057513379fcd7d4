"""Frozen parts do not move: not their weights, not their statistics."""

import copy
import pickle

import pytest
import torch
from torch import nn

import landmarkzoo as lz

CNN = "test_efficientnet"


@pytest.fixture
def model():
    return lz.DOLG(CNN, hidden_dim=16, dilations=(1, 2), embedding_dim=8)


def step(model):
    """One training step on everything that is not frozen."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    model.zero_grad()


def moved(model, before):
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def test_neither_weights_nor_statistics_of_frozen_parts_move(model):
    lz.freeze(model, "backbone", "global_norm", "neck.0")
    before = copy.deepcopy(model.state_dict())
    step(model)
    changed = moved(model, before)
    assert not {n for n in changed if n.startswith(("backbone", "global_norm", "neck.0"))}
    others = {
        n for n in before if n.startswith(("multi_atrous", "spatial_attention.norm", "neck.1", "neck.2"))
    }
    assert others <= changed


def test_without_freezing_all_of_it_moves(model):
    before = copy.deepcopy(model.state_dict())
    step(model)
    assert moved(model, before) >= {n for n in before if "running" in n or "conv" in n}


def test_modes_of_frozen_parts(model):
    model.train()
    lz.freeze(model, "backbone")
    norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.training for m in model.backbone.modules())  # at once
    assert model.neck.training
    assert not any(m.training for m in model.eval().modules())
    model.train()
    assert not any(m.training for m in norms)
    assert model.global_norm.training
    lz.unfreeze(model, "backbone")
    assert all(m.training for m in model.modules())
    lz.freeze(model.eval(), "backbone")
    lz.unfreeze(model, "backbone")
    assert not any(m.training for m in model.modules())


def test_dropout_of_frozen_parts_is_off():
    model = lz.GlobalDescriptor(
        "swin_tiny_patch4_window7_224", pool="avg", neck="none"
    )  # has stochastic depth
    x = torch.randn(2, 3, 224, 224)
    model.train()
    assert not torch.equal(model(x), model(x))
    lz.freeze(model, "backbone")
    model.train()
    assert torch.equal(model(x), model(x))


def test_parts_inside_parts(model):
    lz.freeze(model, "backbone")
    lz.unfreeze(model, "backbone.blocks.4")
    model.train()
    trained = [n for n, p in model.backbone.named_parameters() if p.requires_grad]
    assert trained
    assert all(n.startswith("blocks.4.") for n in trained)
    assert model.backbone.blocks[4][0].bn1.training
    assert not model.backbone.blocks[3][0].bn1.training
    lz.unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.train().modules())


def test_names_are_whole_names():
    model = lz.GlobalDescriptor("resnet10t", neck="none")
    lz.freeze(model, "backbone.layer1")
    assert model.backbone.layer2.training
    assert all(p.requires_grad for p in model.backbone.layer2.parameters())


def test_parameters_that_stand_alone_are_parts():
    model = lz.HybridSwin(CNN, "swin_tiny_patch4_window7_224", image_size=224, cnn_level=4)
    lz.freeze(model, "transformer", "neck", "token", "token_key_bias")  # stage 2: only the front is trained
    trained = {n.partition(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"position", "cnn", "project"}
    model.train()(torch.randn(2, 3, 224, 224)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_frozen_and_then_independent(model, twin_of):
    lz.freeze(model, "backbone")
    twin = twin_of(model)
    lz.unfreeze(model)
    assert not twin.train().backbone.training
    assert not any(p.requires_grad for p in twin.backbone.parameters())
    assert model.train().backbone.training


def test_embedding_leaves_it_frozen(model):
    lz.freeze(model.train(), "backbone")
    lz.embed(model, torch.rand(2, 3, 64, 64), progress=False)
    assert model.training
    assert not model.backbone.training


def test_saved_models_know_nothing_of_it(model, tmp_path):
    lz.freeze(model, "backbone")
    model.save_pretrained(tmp_path)
    assert all(p.requires_grad for p in lz.create_model(f"local-dir:{tmp_path}").parameters())


@pytest.mark.parametrize("function", [lz.freeze, lz.unfreeze])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("backbon", "no part 'backbon'. Did you mean backbone"),
        (
            "back",
            "It has backbone, multi_atrous, spatial_attention, global_project, global_norm, global_pool",
        ),
        ("", "no part ''"),
        ("backbone.blocks.9", "Did you mean backbone.blocks.4"),
    ],
)
def test_unknown_parts_change_nothing(model, function, part, message):
    lz.freeze(model, "global_norm")
    with pytest.raises(ValueError, match=message):
        function(model, "neck", "global_norm", part)
    assert model.neck[0].weight.requires_grad
    assert not model.global_norm.weight.requires_grad


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, torch.compile, lambda m: nn.DataParallel(torch.compile(m))]
)
def test_wrapped_models_are_frozen_inside(model, wrap):
    wrapped = wrap(model)
    lz.freeze(wrapped, "backbone")
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not wrapped.train().training or not model.backbone.training
    groups = lz.parameter_groups(wrapped, lr=0.1)
    trained = {id(p) for group in groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters() if p.requires_grad}
    lz.unfreeze(wrapped)
    assert all(p.requires_grad for p in model.parameters())


def test_a_reducer_waits_for_what_was_trained_when_it_was_made(model, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(model)
        for function in (lz.freeze, lz.unfreeze):
            with pytest.raises(TypeError, match="freeze or unfreeze the model before it is wrapped"):
                function(wrapped, "neck")
        assert len(lz.parameter_groups(wrapped, lr=0.1)) > 2
    finally:
        torch.distributed.destroy_process_group()


def test_not_a_model():
    for function in (lz.freeze, lz.unfreeze, lambda m, _: lz.parameter_groups(m, lr=0.1)):
        with pytest.raises(TypeError, match="a landmarkzoo model is needed, got Linear"):
            function(nn.DataParallel(nn.Linear(2, 2)), "neck")


def test_freezing_nothing_is_an_error(model):
    with pytest.raises(ValueError, match=r"at least one part\. It has backbone"):
        lz.freeze(model)


def test_parts_are_named_one_by_one():
    model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
    with pytest.raises(TypeError, match=r"a part is named by a string, got \['backbone'\]"):
        lz.freeze(model, ["backbone"])
    with pytest.raises(ValueError, match=r"has no part ''\. It has backbone"):
        lz.freeze(model, "")
