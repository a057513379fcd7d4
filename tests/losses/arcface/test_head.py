"""ArcFace against its formula: golden numbers, explicit loops, limiting cases; and its arguments."""

import copy
import math

import numpy as np
import pytest
import torch
from explicit_loop import explicit_losses
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses.arcface import center_blocks, margin_softmax

GOLDEN_WEIGHT = torch.tensor([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0, -1], [1, 1]])
GOLDEN_X, GOLDEN_Y = torch.tensor([[3.0, 4.0], [-1.0, 0.0]]), torch.tensor([0, 2])


def golden_head(**options):
    head = lz.SubCenterArcFaceDynamic(2, 3, margins=[0.05, 0.2, 0.5], sub_centers=2, **options)
    head.load_state_dict({"weight": GOLDEN_WEIGHT})
    return head


def plain_cosine(x, weight, classes):
    return F.linear(F.normalize(x), F.normalize(weight)).view(len(x), classes, -1).amax(dim=2)


@pytest.fixture
def small_blocks(monkeypatch):
    def choose(values):
        monkeypatch.setattr(center_blocks, "_CPU_BLOCK_VALUES", values)
        monkeypatch.setattr(margin_softmax, "_LOGITS_BLOCK", values // 7 + 1)

    return choose


def test_golden_numbers():
    head = golden_head()
    expected = torch.tensor([[0.8, 1.0, 0.989949], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(head.cosine(GOLDEN_X), expected, atol=1e-6, rtol=0)
    assert head(GOLDEN_X, GOLDEN_Y).item() == pytest.approx(38.730480, abs=1e-5)
    losses = golden_head(reduction="none")(GOLDEN_X, GOLDEN_Y)
    np.testing.assert_allclose(losses.detach(), [10.886812, 66.574149], rtol=1e-6)
    assert golden_head(reduction="sum")(GOLDEN_X, GOLDEN_Y).item() == pytest.approx(77.460961, abs=1e-4)


def test_golden_numbers_under_autocast():
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            loss = golden_head()(GOLDEN_X, GOLDEN_Y)
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(38.730480, abs=1e-5)


@given(
    batch=st.integers(1, 5),
    classes=st.integers(2, 9),
    k=st.integers(1, 4),
    dim=st.integers(2, 6),
    smoothing=st.sampled_from([0.0, 0.1]),
    weighted=st.booleans(),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    block=st.integers(1, 200),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_value_and_gradients_equal_an_explicit_loop(
    batch, classes, k, dim, smoothing, weighted, reduction, block, seed
):
    torch.manual_seed(seed)
    x = torch.randn(batch, dim, dtype=torch.float64, requires_grad=True)
    labels, margins = torch.randint(classes, (batch,)), torch.rand(classes)
    class_weights = torch.rand(classes) + 0.1 if weighted else None
    head = lz.SubCenterArcFaceDynamic(
        dim,
        classes,
        margins=margins,
        sub_centers=k,
        scale=20.0,
        label_smoothing=smoothing,
        class_weights=class_weights,
        reduction=reduction,
    ).double()
    upstream = torch.randn(batch, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(center_blocks, "_CPU_BLOCK_VALUES", block)
        patch.setattr(margin_softmax, "_LOGITS_BLOCK", block)
        loss = head(x, labels)
        (loss @ upstream if reduction == "none" else loss).backward()
    x2, w2 = (t.detach().clone().requires_grad_() for t in (x, head.weight))
    expected = explicit_losses(
        x2, w2, labels, margins, k, 20.0, smoothing=smoothing, class_weights=class_weights
    )
    if reduction == "sum":
        expected = expected.sum()
    elif reduction == "mean":
        divisor = batch if class_weights is None else class_weights[labels].double().sum()
        expected = expected.sum() / divisor
    (expected @ upstream if reduction == "none" else expected).backward()
    torch.testing.assert_close(loss, expected, rtol=1e-8, atol=1e-8)
    for ours, theirs in ((x.grad, x2.grad), (head.weight.grad, w2.grad)):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_float32_is_float64_to_rounding(k):
    head = lz.SubCenterArcFaceDynamic(64, 500, class_counts=torch.arange(1, 501), sub_centers=k)
    x, y = torch.randn(32, 64, requires_grad=True), torch.randint(500, (32,))
    loss = head(x, y)
    gradients = torch.autograd.grad(loss, [x, head.weight])
    wide, x64 = copy.deepcopy(head).double(), x.detach().double().requires_grad_()
    torch.testing.assert_close(loss.double(), wide(x64, y), rtol=1e-6, atol=0)
    for one, other in zip(gradients, torch.autograd.grad(wide(x64, y), [x64, wide.weight])):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-5 * other.abs().max().item())


@pytest.mark.parametrize(
    ("margin", "scale", "magnitude"), [(0.1, 16.0, 1e-3), (0.1, 30.0, 1e-7), (0.1, 64.0, 1e-14)]
)
def test_a_small_loss_keeps_its_digits(margin, scale, magnitude):
    head = lz.SubCenterArcFaceDynamic(64, 500, margins=margin, sub_centers=2, scale=scale)
    y = torch.arange(0, 500, 20)
    x = (head.weight.detach()[2 * y] + 0.01 * torch.randn(len(y), 64)).requires_grad_()
    loss = head(x, y)
    wide, x64 = copy.deepcopy(head).double(), x.detach().double().requires_grad_()
    expected = wide(x64, y)
    assert 0.01 * magnitude < expected < 100 * magnitude
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=0)
    ours, right = (
        torch.autograd.grad(a, b) for a, b in ((loss, [x, head.weight]), (expected, [x64, wide.weight]))
    )
    for one, other in zip(ours, right):
        assert (one - other).norm() < 1e-2 * other.norm()


@pytest.mark.parametrize("values", [1, 37, 500, 2**21])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_blocks_of_odd_sizes_change_nothing(values, k, small_blocks):
    head = lz.SubCenterArcFaceDynamic(7, 53, margins=0.3, sub_centers=k).double()
    x, y = torch.randn(6, 7, dtype=torch.float64, requires_grad=True), torch.randint(53, (6,))
    whole = torch.autograd.grad(head(x, y), [x, head.weight])
    small_blocks(values)
    parts = torch.autograd.grad(head(x, y), [x, head.weight])
    for one, other in zip(whole, parts):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradcheck(smoothing, small_blocks):
    small_blocks(16)
    head = lz.SubCenterArcFaceDynamic(
        4, 5, margins=0.4, sub_centers=3, scale=8.0, label_smoothing=smoothing, reduction="none"
    ).double()
    x, y = torch.randn(3, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 3, 4])

    def loss(x, weight):
        return torch.func.functional_call(head, {"weight": weight}, (x, y))

    weight = head.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (x, weight))
    assert torch.autograd.gradcheck(lambda x: head.cosine(x), (x,))


def test_equals_cross_entropy_of_the_cosines_without_margin():
    weights = torch.rand(11)
    head = lz.SubCenterArcFaceDynamic(
        8, 11, margins=0.0, scale=10.0, label_smoothing=0.2, class_weights=weights
    )
    x, y = torch.randn(6, 8), torch.randint(11, (6,))
    expected = F.cross_entropy(10 * plain_cosine(x, head.weight, 11), y, weight=weights, label_smoothing=0.2)
    torch.testing.assert_close(head(x, y), expected)


def test_one_center_and_one_margin_are_arcface():
    head = lz.SubCenterArcFaceDynamic(8, 11, margins=0.3, sub_centers=1, scale=30.0)
    x, y = torch.randn(6, 8), torch.randint(11, (6,))
    angles = torch.acos(F.linear(F.normalize(x), F.normalize(head.weight)))
    angles = angles + 0.3 * F.one_hot(y, 11)  # all below pi here
    torch.testing.assert_close(head(x, y), F.cross_entropy(30 * angles.cos(), y))
    counts = lz.SubCenterArcFaceDynamic(8, 11, class_counts=[5] * 11, sub_centers=1, scale=30.0)
    counts.load_state_dict({"weight": head.weight})  # their margins differ
    equal = lz.SubCenterArcFaceDynamic(8, 11, margins=0.275, sub_centers=1, scale=30.0)
    equal.load_state_dict({"weight": head.weight})
    torch.testing.assert_close(counts(x, y), equal(x, y))


@pytest.mark.parametrize("k", [1, 3])
def test_cosine_and_its_gradient_equal_the_plain_formulation(k, small_blocks):
    small_blocks(100)
    head = lz.SubCenterArcFaceDynamic(8, 21, sub_centers=k)
    x = torch.randn(5, 8, requires_grad=True)
    upstream = torch.randn(5, 21)
    ours = torch.autograd.grad(head.cosine(x), [x, head.weight], upstream)
    plain = torch.autograd.grad(plain_cosine(x, head.weight, 21), [x, head.weight], upstream)
    for one, other in zip(ours, plain):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.cosine(x), plain_cosine(x, head.weight, 21))


def test_large_scale_with_all_cosines_low_does_not_underflow():
    head = lz.SubCenterArcFaceDynamic(2, 2, margins=0.0, sub_centers=1, scale=1000.0)
    head.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [1.0, 0.01]])})
    loss = head(torch.tensor([[-1.0, 0.0]]), torch.tensor([0]))
    expected = F.cross_entropy(
        1000 * plain_cosine(torch.tensor([[-1.0, 0.0]]), head.weight, 2), torch.tensor([0])
    )
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)


class TestModule:
    def test_second_derivatives_are_refused_instead_of_wrong(self):
        head = lz.SubCenterArcFaceDynamic(4, 3, margins=0.5)
        x = torch.randn(2, 4, requires_grad=True)
        for value in (head(x, torch.tensor([0, 1])), head.cosine(x).sum()):
            with pytest.raises(RuntimeError, match="no second derivative"):
                torch.autograd.grad(value, x, create_graph=True)

    def test_backward_inside_autocast_stays_in_float32(self):
        head = lz.SubCenterArcFaceDynamic(16, 7, margins=0.5)
        x, y = torch.randn(5, 16, requires_grad=True), torch.randint(7, (5,))
        expected = torch.autograd.grad(head(x, y), [x, head.weight])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = torch.autograd.grad(head(x, y), [x, head.weight])
        for one, other in zip(inside, expected):
            torch.testing.assert_close(one, other)

    def test_gradients_accumulate_and_are_not_overwritten_in_reused_memory(self):
        head = lz.SubCenterArcFaceDynamic(64, 20_000, margins=0.3)
        x, y = torch.randn(2, 4, 64), torch.randint(20_000, (2, 4))
        separate = [torch.autograd.grad(head(x[i], y[i]), head.weight)[0].clone() for i in range(2)]
        for i in range(2):
            head(x[i], y[i]).backward()
        torch.testing.assert_close(head.weight.grad, separate[0] + separate[1])
        kept = head.weight.grad.view(-1)[:1000]  # a view keeps the memory
        before = kept.clone()
        head.zero_grad()
        head(x[0], y[0]).backward()
        assert torch.equal(kept, before)
        torch.testing.assert_close(head.weight.grad, separate[0])

    def test_learns_clusters_that_have_two_centers_each(self):
        torch.manual_seed(0)
        centers = F.normalize(torch.randn(8, 2, 16), dim=2)
        labels = torch.arange(320) % 8
        x = centers[labels, torch.arange(320) // 8 % 2] + 0.15 * torch.randn(320, 16)
        head = lz.SubCenterArcFaceDynamic(16, 8, margins=0.3, sub_centers=2, scale=16.0)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(60):
            optimizer.zero_grad()
            head(x, labels).backward()
            optimizer.step()
        assert (head.predict(x, k=1).classes[:, 0] == labels).float().mean() > 0.98
        both_serve = head.center_usage(x, labels).shares.amax(dim=1) < 0.9
        assert both_serve.sum() >= 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"class_counts": [1, 0, 2]}, ValueError, "class 1 has no image"),
        ({"class_counts": 100}, ValueError, r"class_counts must have shape \(3,\)"),
        ({"class_counts": [1, 2]}, ValueError, r"class_counts must .*shape \(3,\)"),
        ({"class_counts": [1, 2, 3], "margins": 0.3}, ValueError, "not both"),
        ({"margins": [0.1, 0.2]}, ValueError, r"margins must .*shape \(3,\), one a class, got \(2,\)"),
        ({"margins": 28.6}, ValueError, "Are these degrees"),
        ({"margins": -0.1}, ValueError, r"radians in \[0, pi\)"),
        ({"margins": "large"}, TypeError, "margins must be an array of numbers"),
        ({"margins": [0.1, math.nan, 0.1]}, ValueError, "finite, got nan for class 1"),
        ({"sub_centers": 0}, ValueError, "sub_centers must be a positive integer"),
        ({"sub_centers": 256}, ValueError, "at most 255"),
        ({"scale": 0}, ValueError, "scale must be positive"),
        ({"label_smoothing": 1.5}, ValueError, r"label_smoothing must be in \[0, 1\]"),
        ({"class_weights": [1, -1, 1]}, ValueError, "must not be negative, got -1.0 for class 1"),
        ({"reduction": "average"}, ValueError, "reduction must be one of"),
        ({"matmul_dtype": "float16"}, ValueError, "matmul_dtype must be one of"),
        ({"sample_rate": 0.0}, ValueError, "sample_rate must be in"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        lz.SubCenterArcFaceDynamic(4, 3, **arguments)


def test_without_margins_cosine_works_and_the_loss_says_what_is_missing():
    head, x = lz.SubCenterArcFaceDynamic(4, 3), torch.randn(2, 4)
    assert head.cosine(x).shape == (2, 3)
    with pytest.raises(ValueError, match="neither class_counts nor margins"):
        head(x, torch.tensor([0, 1]))


MARGINS = [0.1, 0.2, 0.3]
X, Y = torch.tensor([[1.0, 2, 3, 4], [4, -3, 2, 1]]), torch.tensor([0, 2])


def weighted_head(**options):
    torch.manual_seed(0)
    return lz.SubCenterArcFaceDynamic(4, 3, margins=MARGINS, class_weights=[1, 2, 3], **options)


def test_from_the_meta_device_by_to_empty():
    new = weighted_head(device="meta").to_empty(device="cpu")
    new.load_state_dict(weighted_head().state_dict())
    assert torch.equal(new(X, Y), weighted_head()(X, Y))
    assert torch.equal(new.margins, torch.tensor(MARGINS))


def test_to_the_meta_device_and_back():
    new = weighted_head().to("meta").to_empty(device="cpu")
    new.reset_parameters()
    assert torch.equal(new.margins, torch.tensor(MARGINS))
    assert torch.isfinite(new(X, Y))


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_casts_leave_the_digits_of_margins(narrow):
    new = weighted_head().to(narrow).float()
    assert torch.equal(new.margins, torch.tensor(MARGINS))
    assert torch.equal(new.class_weights, torch.tensor([1.0, 2, 3]))
    assert weighted_head().double().margins.dtype == torch.float32


def test_repr_says_what_the_shapes_do_not():
    head = lz.SubCenterArcFaceDynamic(4, 3, class_counts=[100, 10, 1])
    assert "num_classes=3, sub_centers=3, scale=45, margins=0.05 to 0.5" in repr(head)


def test_margins_changed_in_place_stay_changed():
    new = weighted_head()
    new.margins.fill_(0.7)
    assert (new.double().float().margins == 0.7).all()
    assert (copy.deepcopy(new).margins == 0.7).all()


def test_class_weights_changed_before_the_backward_pass():
    new = weighted_head()
    loss = new(X, Y)
    new.class_weights *= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_of_equally_near_centers_the_first_one_is_moved():
    new = lz.SubCenterArcFaceDynamic(4, 2, margins=0.2, sub_centers=2)
    with torch.no_grad():
        new.weight[1] = new.weight[0]
    new(X, Y.clamp(max=1)).backward()
    assert new.weight.grad[0].abs().sum() > 0
    assert new.weight.grad[1].abs().sum() == 0
