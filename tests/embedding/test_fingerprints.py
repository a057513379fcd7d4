"""Fingerprints are computed once a model, and are right whatever is done to its weights."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import nn

from landmarkzoo.embedding import fingerprints
from landmarkzoo.embedding.fingerprints import weights_fingerprint


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 3, bias=False))


def _of_a_fresh_model(model: nn.Module) -> str:
    return weights_fingerprint(copy.deepcopy(model))


def _swap_rows(model: nn.Module) -> None:
    weight = model[0].weight.data
    weight.copy_(weight[torch.tensor([1, 0, *range(2, 32)])])  # the sum of all values stays the same


def _step(model: nn.Module) -> None:
    model(torch.randn(4, 64)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1e-3).step()


CHANGES = {
    "in place": lambda model: model[2].weight.detach().mul_(2),
    "through data": lambda model: model[2].weight.data.mul_(2),
    "one value": lambda model: model[0].weight.data.view(-1)[77].add_(1e-6),
    "rows that change places": _swap_rows,
    "another tensor": lambda model: setattr(model[2], "weight", nn.Parameter(torch.ones(3, 32))),
    "a buffer": lambda model: model[1].running_mean.add_(1),
    "a step": _step,
    "another type": lambda model: model.double(),
    "an argument": lambda model: setattr(model[1], "eps", 0.5),
    "a new layer": lambda model: model.append(nn.Identity()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen_and_undone(model, change):
    before, twin = weights_fingerprint(model), copy.deepcopy(model)
    assert weights_fingerprint(model) == before
    change(model)
    after = weights_fingerprint(model)
    assert after == _of_a_fresh_model(model) != before
    assert weights_fingerprint(twin) == before


def test_weights_are_hashed_once(model, monkeypatch):
    before = weights_fingerprint(model)
    monkeypatch.setattr(fingerprints, "_add", None)  # hashing again would call it
    assert weights_fingerprint(model) == before
    with torch.no_grad():
        model[0].weight += 1
    with pytest.raises(TypeError, match="not callable"):
        weights_fingerprint(model)


def test_a_model_that_is_trained_meanwhile_keeps_no_wrong_fingerprint(model):
    start = {name: value.clone() for name, value in model.state_dict().items()}
    right, stopped = _of_a_fresh_model(model), threading.Event()

    def train() -> None:
        while not stopped.is_set():
            with torch.no_grad():
                model[0].weight += 1

    thread = threading.Thread(target=train)
    thread.start()
    for _ in range(200):
        weights_fingerprint(model)
    stopped.set()
    thread.join()
    assert weights_fingerprint(model) == _of_a_fresh_model(model) != right
    model.load_state_dict(start)
    assert weights_fingerprint(model) == right


def test_weights_that_are_views_at_odd_places_are_read():
    layer = nn.Linear(40, 40, bias=False)
    layer.weight = nn.Parameter(torch.arange(1601.0)[1:].view(40, 40))
    plain = nn.Linear(40, 40, bias=False)
    plain.weight = nn.Parameter(layer.weight.detach().clone())
    assert weights_fingerprint(layer) == weights_fingerprint(layer) == weights_fingerprint(plain)
    plain.weight.data = plain.weight.data.t()
    assert weights_fingerprint(plain) == _of_a_fresh_model(plain) != weights_fingerprint(layer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_signs_that_turn_are_seen(dtype):
    torch.manual_seed(0)
    model = nn.Linear(122, 64, bias=False).to(dtype)
    before = weights_fingerprint(model)
    model.weight.data.neg_()
    assert weights_fingerprint(model) == _of_a_fresh_model(model) != before
