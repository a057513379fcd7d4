import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import landmarkzoo as lz
from landmarkzoo.layers import gem


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.floats(0.5, 6))
@settings(max_examples=30, deadline=None)
def test_equals_explicit_loop(b, c, h, w, p):
    x = torch.randn(b, c, h, w)
    ours = lz.GeM(p=p)(x).detach()
    for i in range(b):
        for j in range(c):
            values = [max(float(v), 1e-6) ** p for v in x[i, j].flatten()]
            assert float(ours[i, j]) == pytest.approx((sum(values) / len(values)) ** (1 / p), rel=1e-4)


def test_power_1_is_average_and_large_power_is_maximum():
    x = torch.rand(2, 3, 5, 5) + 0.1
    torch.testing.assert_close(gem(x, 1.0), x.mean((2, 3)))
    torch.testing.assert_close(gem(x, 60.0), x.amax((2, 3)), rtol=0.06, atol=0)


def test_trainable_power_is_a_parameter_with_gradient_and_a_fixed_one_is_saved():
    layer = lz.GeM(trainable=True)
    layer(torch.rand(1, 2, 3, 3)).sum().backward()
    assert isinstance(layer.p, nn.Parameter)
    assert layer.p.grad.abs() > 0
    fixed = lz.GeM(p=2.5, trainable=False)
    assert not list(fixed.parameters())
    assert fixed.state_dict()["p"].item() == 2.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_does_not_overflow_and_keeps_its_dtype(dtype):
    x = torch.full((1, 2, 4, 4), 200.0, dtype=dtype)  # 200^3 is beyond float16
    pooled = lz.GeM()(x)
    assert pooled.dtype == dtype
    np.testing.assert_allclose(pooled.detach().float().numpy(), 200, rtol=1e-2)


def test_double_stays_double():
    x = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lz.GeM().double(), (x,))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(2, 3), ValueError, r"\(B, C, H, W\), H and W at least 1, got \(2, 3\)"),
        (torch.ones(2, 3, 0, 7), ValueError, r"H and W at least 1, got \(2, 3, 0, 7\)"),
        (
            torch.ones(2, 3, 7, 7, dtype=torch.int64),
            TypeError,
            r"got torch.int64: x\.float\(\) converts them",
        ),
        (torch.ones(2, 3, 7, 7, dtype=torch.bool), TypeError, "floating-point tensors, got torch.bool"),
        (np.ones((2, 3, 7, 7), np.float32), TypeError, r"got ndarray: torch\.as_tensor\(x\) makes one"),
    ],
)
def test_wrong_maps(x, error, message):
    for pool in (lz.GeM(), gem):
        with pytest.raises(error, match=message):
            pool(x)


def test_an_empty_batch_is_pooled_to_an_empty_batch():
    assert lz.GeM()(torch.ones(0, 3, 7, 7)).shape == (0, 3)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"p >= 0\.05"):
        lz.GeM(p=0)


def test_repr_shows_the_power_and_works_on_the_meta_device():
    assert repr(lz.GeM(p=2.5)) == "GeM(p=2.5, eps=1e-06, trainable=True)"
    with torch.device("meta"):
        model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
    assert "GeM(p=?, eps=1e-06, trainable=True)" in repr(model)
