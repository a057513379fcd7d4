"""Products in bfloat16: how large the error is, and when they are chosen."""

import torch
from torch.nn import functional as F

import landmarkzoo as lz


class TestBfloat16Products:
    """Rounding to bfloat16 is relative, 2^-9 at most: of two factors and of the product."""

    def heads(self, classes=600, dim=128):
        head = lz.SubCenterArcFaceDynamic(dim, classes, margins=0.3)
        low = lz.SubCenterArcFaceDynamic(dim, classes, margins=0.3, products="bfloat16")
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
        for products in ("float32", "bfloat16"):
            head = lz.SubCenterArcFaceDynamic(2, 2, margins=1.4, sub_centers=1, products=products)
            head.load_state_dict({"weight": torch.tensor([[0.6, 0.8], [-0.8, 0.6]])})
            heads.append(head)
        x, y = torch.tensor([[0.61, 0.79]]), torch.tensor([0])
        exact, rounded = (head(x, y).item() for head in heads)
        assert exact > 1e-4
        assert abs(rounded - exact) < 0.2 * exact

    def test_auto_takes_it_inside_autocast_for_large_heads_on_devices_that_have_it(self, monkeypatch):
        from landmarkzoo.losses import product_dtype as module

        x = torch.randn(2, 8)
        small, large = torch.empty(3, 8), torch.empty(2**19, 8, device="meta")
        for has in (True, False):
            monkeypatch.setattr(module, "has_bfloat16", lambda device, has=has: has)
            assert module.product_dtype("auto", x, large) == torch.float32
            with torch.autocast("cpu", dtype=torch.float16):
                expected = torch.bfloat16 if has else torch.float32
                assert module.product_dtype("auto", x, large) == expected
                assert module.product_dtype("auto", x, small) == torch.float32
                assert module.product_dtype("auto", x.double(), large) == torch.float64
                assert module.product_dtype("float32", x, large) == torch.float32
        assert isinstance(module.has_bfloat16(torch.device("cpu")), bool)
