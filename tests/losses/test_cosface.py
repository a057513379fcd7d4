"""CosFace against its formula: an explicit loop, and the softmax that it is without margin."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import landmarkzoo as lz


def explicit_loss(x, weight, labels, margin, scale):
    """Mean of ``log(sum exp z) - z_y`` with scalars; ``z_y`` alone has the margin."""
    losses = []
    for vector, label in zip(x, labels.tolist()):
        logits = []
        for c, center in enumerate(weight):
            cosine = torch.dot(vector, center) / (vector.norm() * center.norm())
            logits.append(scale * (cosine - margin if c == label else cosine))
        losses.append(torch.stack(logits).logsumexp(0) - logits[label])
    return torch.stack(losses).mean()


@given(
    batch=st.integers(1, 5),
    classes=st.integers(1, 7),
    dim=st.integers(2, 6),
    margin=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=30)
def test_value_and_gradients_equal_an_explicit_loop(batch, classes, dim, margin, seed):
    torch.manual_seed(seed)
    head = lz.losses.CosFace(dim, classes, margin=margin, scale=20.0, dtype=torch.float64)
    x = torch.randn(batch, dim, dtype=torch.float64, requires_grad=True)
    y = torch.randint(classes, (batch,))
    loss, expected = head(x, y), explicit_loss(x, head.weight, y, margin, 20.0)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    gradients = (torch.autograd.grad(value, [x, head.weight]) for value in (loss, expected))
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_without_margin_it_is_the_softmax_of_scaled_cosines():
    head = lz.losses.CosFace(8, 11, margin=0.0, scale=10.0)
    x, y = torch.randn(6, 8), torch.randint(11, (6,))
    cosine = F.linear(F.normalize(x), F.normalize(head.weight))
    torch.testing.assert_close(head(x, y), F.cross_entropy(10 * cosine, y))


def test_golden_number():
    head = lz.losses.CosFace(2, 2)
    head.load_state_dict({"weight": torch.tensor([[2.0, 0], [0, 3]])})
    loss = head(torch.tensor([[3.0, 4.0]]), torch.tensor([1]))  # cosines 0.6 and 0.8
    assert loss.item() == pytest.approx(math.log1p(math.exp(64 * (0.6 - (0.8 - 0.35)))), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 28.6}, r"must be in \[0, 1\], got 28.6"),
        ({"margin": -0.1}, r"must be in \[0, 1\]"),
        ({"margin": math.nan}, r"must be in \[0, 1\]"),
        ({"scale": 0}, "scale must be positive"),
        ({"scale": math.inf}, "scale must be positive"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        lz.losses.CosFace(4, 3, **arguments)


def test_repr_shows_the_arguments():
    head = lz.losses.CosFace(4, 3, margin=0.2)
    assert repr(head) == "CosFace(embedding_dim=4, num_classes=3, margin=0.2, scale=64.0)"
