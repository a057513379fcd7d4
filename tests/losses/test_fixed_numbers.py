"""Margins travel in the state dict, and must agree with those of the head that it is loaded into."""

import copy

import pytest
import torch
from each_head import each_head
from safetensors.torch import load_file, save_file
from torch import nn

import landmarkzoo as lz

X, Y = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])


def arcface(**options):
    return lz.SubCenterArcFaceDynamic(8, 3, **options)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("saved", "into", "message"),
    [
        (
            arcface(margins=[0.1, 0.2, 0.3]),
            arcface(margins=[0.1, 0.2, 0.4]),
            r"margins of this state_dict differ from those of the SubCenterArcFaceDynamic: 0\.3 against 0\.4 "
            r"for class 2\. Build the head with the same margins; .*\{\"weight\": state_dict\[\"weight\"\]\}",
        ),
        (arcface(margins=0.3), arcface(class_counts=[9, 3, 1]), "margins of this state_dict differ"),
        (
            arcface(margins=0.3, class_weights=[1, 2, 3]),
            arcface(margins=0.3, class_weights=[1, 2, 4]),
            "class_weights of this state_dict differ .* 3 against 4 for class 2",
        ),
        (
            lz.losses.CosFace(8, 3, margin=0.2),
            lz.losses.CosFace(8, 3, margin=0.35),
            r"margins of this state_dict differ from those of the CosFace: 0\.2 against 0\.35\. Build",
        ),
    ],
)
def test_other_numbers_are_an_error(saved, into, message, strict):
    before = into.weight.clone()
    with pytest.raises(ValueError, match=message):
        into.load_state_dict(saved.state_dict(), strict=strict)
    assert torch.equal(into.weight, before)
    into.load_state_dict({"weight": saved.state_dict()["weight"]})  # the way out that the message gives
    assert torch.equal(into.weight, saved.weight)


@each_head
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_same_numbers_fit_whatever_they_were_cast_to(make_head, dtype, tmp_path):
    head, twin = make_head(8, 3), make_head(8, 3)
    state = {name: tensor.to(dtype) for name, tensor in head.state_dict().items()}
    save_file(state, str(tmp_path / "state.safetensors"))
    twin.load_state_dict(load_file(tmp_path / "state.safetensors"))
    right = copy.deepcopy(head)
    right.weight.data = head.weight.data.to(dtype).float()
    assert torch.equal(twin(X, Y), right(X, Y))  # the margins keep their digits


def test_a_head_without_margins_takes_them_along():
    head = arcface(class_counts=[9, 3, 1], class_weights=[1, 2, 3])
    blank = arcface()
    blank.load_state_dict(head.state_dict())
    assert torch.equal(blank(X, Y), head(X, Y))
    assert list(blank.state_dict()) == list(head.state_dict())
    assert repr(blank) == repr(head)
    for copied in (copy.deepcopy(blank), blank.to("meta").to_empty(device="cpu")):
        assert torch.equal(copied.margins, head.margins)


def test_margins_that_cannot_be_are_refused():
    state = arcface(margins=0.3).state_dict()
    for wrong, message in (
        (torch.full((3,), 28.6), "Are these degrees"),
        (torch.full((3,), torch.nan), "must be finite numbers of shape"),
        (torch.zeros(4), r"shape \(3,\).*got shape \(4,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            arcface().load_state_dict({**state, "margins": wrong})


@each_head
def test_a_state_dict_without_them_changes_nothing(make_head):
    head = make_head(8, 3)
    expected = {name: tensor.clone() for name, tensor in head.fixed_numbers().items()}
    result = head.load_state_dict({"weight": torch.ones_like(head.weight)}, strict=True)
    assert not result.missing_keys
    for name, tensor in head.fixed_numbers().items():
        assert torch.equal(tensor, expected[name])


@each_head
def test_names_are_missing_or_unexpected_as_in_torch(make_head):
    head = make_head(8, 3)
    with pytest.raises(RuntimeError, match=r"Missing key.*weight"):
        head.load_state_dict({"margins": head.state_dict()["margins"]})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*bias"):
        head.load_state_dict({**head.state_dict(), "bias": torch.zeros(3)})
    assert head.load_state_dict({"bias": torch.zeros(3)}, strict=False).unexpected_keys == ["bias"]


@each_head
def test_inside_another_module(make_head):
    both = nn.ModuleDict({"head": make_head(8, 3), "linear": nn.Linear(2, 2)})
    assert "head.margins" in both.state_dict()
    twin = nn.ModuleDict({"head": make_head(8, 3), "linear": nn.Linear(2, 2)})
    twin.load_state_dict(both.state_dict())
    assert torch.equal(twin["head"](X, Y), both["head"](X, Y))
    with pytest.raises(ValueError, match="margins of this state_dict must be finite numbers"):
        twin.load_state_dict({**both.state_dict(), "head.margins": torch.tensor([torch.nan] * 3)})


@each_head
def test_state_dicts_of_wrappers_are_loaded(make_head):
    head, twin = make_head(8, 3), make_head(8, 3)
    compiled = torch.compile(nn.DataParallel(head), backend="eager")
    assert next(iter(compiled.state_dict())) == "_orig_mod.module.weight"
    for wrapper in (torch.compile(head, backend="eager"), nn.DataParallel(head), compiled):
        nn.init.zeros_(twin.weight)
        twin.load_state_dict(wrapper.state_dict())
        assert torch.equal(twin.weight, head.weight)
    with pytest.raises(TypeError, match="compiled or wrapped, give the head itself"):
        lz.losses.save_head(compiled, "nowhere")


@each_head
def test_functional_calls_take_the_state_dict(make_head):
    head = make_head(8, 3)
    state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    assert torch.equal(torch.func.functional_call(head, state, (X, Y)), head(X, Y))


@each_head
def test_a_head_file_of_before_they_travelled_is_loaded(make_head, tmp_path):
    head = make_head(8, 3)
    lz.losses.save_head(head, tmp_path)
    loaded, _ = lz.load_head(tmp_path)
    assert torch.equal(loaded(X, Y), head(X, Y))
    if isinstance(head, lz.losses.CosFace):  # whose margin was an argument only
        path = str(tmp_path / "head.safetensors")
        metadata = {"format": "landmarkzoo.head.v1", "class": "CosFace"}
        metadata["arguments"] = '{"embedding_dim": 8, "num_classes": 3, "margin": 0.35, "scale": 64.0}'
        save_file({"weight": head.weight.detach()}, path, metadata)
        assert torch.equal(lz.load_head(tmp_path)[0](X, Y), head(X, Y))
