import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.layers import orthogonal_part


def test_golden_numbers():
    local, global_ = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(orthogonal_part(local, global_), torch.tensor([[-0.32, 0.24]]))
    reference = orthogonal_part(local, global_, "reference")
    torch.testing.assert_close(reference, torch.tensor([[-5.6, -6.8]]))
    fused = lz.OrthogonalFusion()(local[:, :, None, None], global_)
    torch.testing.assert_close(fused.flatten(), torch.tensor([-0.32, 0.24, 3.0, 4.0]))


@pytest.mark.parametrize("projection", ["exact", "reference"])
def test_map_form_equals_explicit_loop_and_its_mean_the_pooled_form(projection):
    local, global_ = torch.randn(2, 5, 3, 4), torch.randn(2, 5)
    fused = lz.OrthogonalFusion(projection)(local, global_)
    assert fused.shape == (2, 10, 3, 4)
    for b in range(2):
        norm = float((global_[b] ** 2).sum()) ** (1.0 if projection == "exact" else 0.5)
        for y in range(3):
            for x in range(4):
                inner = float((local[b, :, y, x] * global_[b]).sum())
                expected = torch.cat([local[b, :, y, x] - inner / norm * global_[b], global_[b]])
                torch.testing.assert_close(fused[b, :, y, x], expected)
    pooled = lz.OrthogonalFusion(projection, pool=True)(local, global_)
    torch.testing.assert_close(pooled, fused.mean((2, 3)))


def test_exact_part_is_orthogonal():
    local, global_ = torch.randn(4, 8, 2, 2), torch.randn(4, 8)
    inner = (orthogonal_part(local, global_) * global_[:, :, None, None]).sum(1)
    assert inner.abs().max() < 1e-5


def test_zero_global_feature_takes_nothing_away_and_gradients_stay_finite():
    local = torch.randn(1, 3, 2, 2, requires_grad=True)
    global_ = torch.zeros(1, 3, requires_grad=True)
    for projection in ("exact", "reference"):
        fused = lz.OrthogonalFusion(projection)(local, global_)
        torch.testing.assert_close(fused[:, :3], local)
        fused.sum().backward()
        assert torch.isfinite(local.grad).all()
        assert torch.isfinite(global_.grad).all()


def test_float16_does_not_overflow():
    local = torch.full((1, 1024, 2, 2), 10.0, dtype=torch.float16)
    fused = lz.OrthogonalFusion(pool=True)(local, torch.full((1, 1024), 30.0, dtype=torch.float16))
    assert fused.dtype == torch.float16
    assert torch.isfinite(fused).all()


@pytest.mark.parametrize("pool", [True, False])
def test_double_stays_double(pool):
    local = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    global_ = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lz.OrthogonalFusion(pool=pool), (local, global_))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="projection must be one of"):
        lz.OrthogonalFusion("orthogonal")
    with pytest.raises(ValueError, match="same B and C"):
        lz.OrthogonalFusion()(torch.ones(2, 3, 4, 4), torch.ones(2, 5))
