"""Products in bfloat16: how large the error is, and when they are chosen."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.losses.arcface import center_blocks


class TestBfloat16Products:
    """Rounding to bfloat16 is relative, 2^-9 at most: of two factors and of the product."""

    def heads(self, classes=600, dim=128):
        head = lz.SubCenterArcFaceDynamic(dim, classes, margins=0.3)
        low = lz.SubCenterArcFaceDynamic(dim, classes, margins=0.3, matmul_dtype="bfloat16")
        low.load_state_dict(head.state_dict())
        return head, low

    def test_error_of_cosines_loss_and_gradients_is_bounded(self):
        head, low = self.heads()
        x, y = torch.randn(32, 128, requires_grad=True), torch.randint(600, (32,))
        exact, rounded = head.cosine(x), low.cosine(x)
        assert rounded.dtype == torch.float32
        assert not torch.equal(exact, rounded)
        # sum |x_i w_i| <= 1 for unit vectors, and the products keep 3 roundings of 2^-9
        assert (exact - rounded).abs().max() < 3 * 2**-9
        one, other = head(x, y), low(x, y)
        assert abs(one - other) < 45 * 3 * 2**-9
        assert abs(one - other) / one < 1e-3  # in fact: errors of many classes average out
        for a, b in zip(
            *(torch.autograd.grad(loss, [x, h.weight]) for loss, h in ((one, head), (other, low)))
        ):
            assert (a - b).norm() / a.norm() < 0.02
            assert F.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.999

    def test_target_cosine_is_exact(self):
        # At a margin of 1.4 the target cosine in bfloat16 would nearly double this loss.
        heads = []
        for matmul_dtype in ("float32", "bfloat16"):
            head = lz.SubCenterArcFaceDynamic(2, 2, margins=1.4, sub_centers=1, matmul_dtype=matmul_dtype)
            head.load_state_dict({"weight": torch.tensor([[0.6, 0.8], [-0.8, 0.6]])})
            heads.append(head)
        x, y = torch.tensor([[0.61, 0.79]]), torch.tensor([0])
        exact, rounded = (head(x, y).item() for head in heads)
        assert exact > 1e-4
        assert abs(rounded - exact) < 0.2 * exact

    @pytest.mark.parametrize("degrees", [5.0, 1.0, 0.3])
    def test_gradient_does_not_get_worse_near_the_own_center(self, degrees):
        # There it is a small difference of large terms: in bfloat16 these would be off by a third at 0.3.
        angle = math.radians(degrees)
        _, low = self.heads(classes=40)
        y = torch.arange(40)
        centers = F.normalize(low.weight.detach().double())[3 * y]
        away = torch.randn(40, 128, dtype=torch.float64)
        away = F.normalize(away - (away * centers).sum(1, keepdim=True) * centers)
        x = (math.cos(angle) * centers + math.sin(angle) * away).float()
        gradients = []
        for head, dtype in ((low, torch.float32), (copy.deepcopy(low).double(), torch.float64)):
            wide = x.to(dtype).requires_grad_()
            gradients.append(torch.autograd.grad(head(wide, y), [wide, head.weight]))
        for ours, right in zip(*gradients):
            assert (ours - right).norm() < 0.05 * right.norm()

    def test_auto_takes_it_inside_autocast_for_large_heads_on_devices_that_have_it(self, monkeypatch):
        x = torch.randn(2, 8)
        small, large = torch.empty(3, 8), torch.empty(2**19, 8, device="meta")
        for has in (True, False):
            monkeypatch.setattr(center_blocks, "has_bfloat16", lambda device, has=has: has)
            assert center_blocks.resolve_matmul_dtype("auto", x, large) == torch.float32
            with torch.autocast("cpu", dtype=torch.float16):
                expected = torch.bfloat16 if has else torch.float32
                assert center_blocks.resolve_matmul_dtype("auto", x, large) == expected
                assert center_blocks.resolve_matmul_dtype("auto", x, small) == torch.float32
                assert center_blocks.resolve_matmul_dtype("auto", x.double(), large) == torch.float64
                assert center_blocks.resolve_matmul_dtype("float32", x, large) == torch.float32
        assert isinstance(center_blocks.has_bfloat16(torch.device("cpu")), bool)


def test_weight_in_bfloat16_has_the_gradient_of_the_same_numbers_in_float32():
    low = lz.SubCenterArcFaceDynamic(64, 50, margins=0.5, dtype=torch.bfloat16)
    wide = copy.deepcopy(low).float()
    x, y = torch.randn(16, 64, requires_grad=True), torch.randint(50, (16,))
    loss, expected = low(x, y), wide(x, y)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    by_x, by_weight = torch.autograd.grad(loss, [x, low.weight])
    right_x, right_weight = torch.autograd.grad(expected, [x, wide.weight])
    torch.testing.assert_close(by_x, right_x, rtol=1e-5, atol=1e-6)
    assert by_weight.dtype == torch.bfloat16
    # every sum is rounded once for the products and once for each image of the class
    assert (by_weight - right_weight).abs().max() < 2**-7 * right_weight.abs().max()
    assert (by_weight - right_weight).norm() < 2**-7 * right_weight.norm()
