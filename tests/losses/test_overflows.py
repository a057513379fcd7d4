"""Values that are not finite: an error where they are a fault, a loss of NaN where a GradScaler skips it."""

import math

import pytest
import torch
from each_head import each_head
from torch import nn

import landmarkzoo as lz

pytestmark = each_head
ODD = [math.inf, -math.inf, math.nan]


def batch(value, dtype=torch.float32):
    x = torch.randn(4, 8)
    x[1, 3] = value
    return x.to(dtype).requires_grad_(), torch.tensor([0, 1, 2, 0])


def assert_nothing_finite(loss, head, x):
    assert not torch.isfinite(loss)
    loss.backward()
    assert not torch.isfinite(head.weight.grad).any()
    assert not torch.isfinite(x.grad[1]).any()


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_and_in_half_precision_the_loss_is_nan(make_head, value, dtype):
    for of, autocast in ((torch.float32, True), (dtype, True), (dtype, False)):
        head, (x, y) = make_head(8, 3), batch(value, of)
        with torch.autocast("cpu", dtype=dtype, enabled=autocast):
            assert torch.isnan(head.cosine(x)[1]).all()
            loss = head(x, y)
        assert_nothing_finite(loss, head, x)


@pytest.mark.parametrize("value", ODD)
def test_in_float32_it_is_an_error_unless_the_trainer_looks_itself(make_head, value):
    head, (x, y) = make_head(8, 3), batch(value)
    with pytest.raises(ValueError, match=r"row 1 of the batch has NaN or infinite.*check_values = False"):
        head(x, y)
    head.check_values = False
    assert_nothing_finite(head(x, y), head, x)


@pytest.mark.parametrize("value", ODD)
def test_predictions_are_never_of_such_values(make_head, value):
    head, (x, _) = make_head(8, 3), batch(value, torch.float16)
    head.check_values = False
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(ValueError, match="row 1 of the batch"):
        head.predict(x)


def test_a_scaler_leaves_the_step_out_and_goes_on(make_head):
    head, model = make_head(8, 3), nn.Linear(8, 8)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for value, skipped in ((1.0, False), (1e6, True), (1.0, False)):  # 1e6 is infinite in float16
        before = [p.detach().clone() for p in parameters]
        x, y = batch(value)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = head(model(x.detach()) * (1e5 if skipped else 1), y)
        optimizer.zero_grad()
        scale = scaler.get_scale()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert all(torch.equal(p, old) for p, old in zip(parameters, before)) == skipped
        assert (scaler.get_scale() < scale) == skipped
        assert all(torch.isfinite(p).all() for p in parameters)


def test_label_smoothing_weights_and_sampling_overflow_as_well(make_head):
    if make_head is lz.losses.CosFace:
        pytest.skip("it has no such options")
    for options in ({"label_smoothing": 0.1, "class_weights": [1, 2, 3]}, {"reduction": "sum"}):
        head, (x, y) = make_head(8, 3, **options), batch(math.inf, torch.float16)
        assert_nothing_finite(head(x, y), head, x)
    head, (x, y) = make_head(8, 3, sample_rate=0.5), batch(math.inf, torch.float16)
    loss = head(x, y)
    loss.backward()
    assert torch.isnan(loss)
    assert not torch.isfinite(head.weight.grad.to_dense()).all()
