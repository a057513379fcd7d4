import pytest
import torch
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.layers import transport_plan
from landmarkzoo.layers.optimal_transport import smallest_grid


def sinkhorn(scores, dust_bin, iterations):
    """Of one table (m, n) of scores, in plain numbers: rows to their masses, then columns to 1."""
    m, n = scores.shape
    table = torch.cat([scores, dust_bin.expand(1, n)]).double().exp()
    masses = torch.tensor([1.0] * m + [n - m], dtype=torch.float64)
    for _ in range(iterations):
        table = table / table.sum(1, keepdim=True) * masses[:, None]
        table = table / table.sum(0, keepdim=True)
    return table


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_plan_equals_sinkhorns_iterations_outside_of_the_logarithm(iterations):
    scores, dust_bin = torch.randn(3, 5, 12) * 2, torch.tensor(0.7)
    plan = transport_plan(scores, dust_bin, iterations)
    assert plan.shape == (3, 6, 12)
    for one, table in zip(plan, scores):
        torch.testing.assert_close(one.double(), sinkhorn(table, dust_bin, iterations), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("m", "n"), [(1, 2), (5, 6), (5, 30), (64, 81)])
def test_marginals_are_those_of_the_paper(m, n):
    """Positions have mass 1 after each iteration; clusters 1 and the dust bin n - m in the limit."""
    scores = torch.randn(2, m, n, dtype=torch.float64)
    for iterations in (1, 3, 2000):
        plan = transport_plan(scores, torch.tensor(1.0), iterations)
        assert (plan >= 0).all()
        torch.testing.assert_close(plan.sum(1), torch.ones(2, n, dtype=torch.float64))
    rows = torch.tensor([1.0] * m + [n - m], dtype=torch.float64).expand(2, -1)
    torch.testing.assert_close(plan.sum(2), rows, rtol=0, atol=1e-6)


def test_the_score_of_the_dust_bin_cancels_out():
    """Rows are normalised first, and its row is constant."""
    scores = torch.randn(2, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(
        transport_plan(scores, torch.tensor(1.0)), transport_plan(scores, torch.tensor(-5.0))
    )


def test_equal_scores_are_shared_out_evenly():
    plan = transport_plan(torch.zeros(1, 4, 10), torch.tensor(3.0))
    torch.testing.assert_close(plan[0, :4], torch.full((4, 10), 0.1))
    torch.testing.assert_close(plan[0, 4], torch.full((10,), 0.6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_computed_in_float32_and_does_not_overflow(dtype):
    scores = torch.tensor([[[3e4, 0.0, -3e4], [0.0, 3e4, 0.0]]], dtype=dtype)
    plan = transport_plan(scores, torch.tensor(1.0, dtype=dtype))
    assert plan.dtype == torch.float32
    torch.testing.assert_close(plan, transport_plan(scores.float(), torch.tensor(1.0)))
    assert torch.isfinite(plan).all()


def aggregation(**arguments):
    sizes = {"clusters": 4, "cluster_dim": 3, "token_dim": 5, "hidden_dim": 7}
    return lz.layers.OptimalTransportAggregation(6, **{**sizes, **arguments}).eval()


@torch.no_grad()
def test_aggregation_equals_an_explicit_loop():
    layer, features, token = aggregation(), torch.randn(2, 6, 3, 4), torch.randn(2, 6)
    out = layer(features, token)
    assert out.shape == (2, layer.out_features) == (2, 5 + 3 * 4)
    local, scores = layer.cluster_features(features).flatten(2), layer.score(features).flatten(2)
    for b in range(2):
        shares = sinkhorn(scores[b], layer.dust_bin, 3)
        sums = torch.zeros(3, 4, dtype=torch.float64)  # feature, cluster
        for cluster in range(4):
            for position in range(12):
                sums[:, cluster] += local[b, :, position] * shares[cluster, position]
            sums[:, cluster] /= sums[:, cluster].norm()
        whole = torch.cat([F.normalize(layer.token_features(token[b]), dim=0).double(), sums.reshape(-1)])
        torch.testing.assert_close(out[b].double(), whole / 5**0.5, rtol=0, atol=1e-6)  # 1 token, 4 clusters


@torch.no_grad()
def test_aggregation_under_autocast_shares_out_in_float32():
    layer, features, token = aggregation(), torch.randn(2, 6, 3, 4), torch.randn(2, 6)
    plain = layer(features, token)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = layer(features, token)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.norm(dim=1), torch.ones(2), rtol=0, atol=1e-6)
    assert F.cosine_similarity(low, plain).min() > 0.999
    half = layer.to(torch.bfloat16)(features.bfloat16(), token.bfloat16())
    assert half.dtype == torch.bfloat16
    assert F.cosine_similarity(half.float(), plain).min() > 0.999


@torch.no_grad()
def test_dropout_is_on_in_training_only():
    features, token = torch.randn(2, 6, 3, 4), torch.randn(2, 6)
    layer = aggregation().train()
    assert not torch.equal(layer(features, token), layer(features, token))
    layer.eval()
    assert torch.equal(layer(features, token), layer(features, token))
    without = aggregation(dropout=0.0).train()
    assert torch.equal(without(features, token), without(features, token))


def test_every_parameter_has_a_gradient_and_none_is_infinite():
    layer = aggregation(clusters=8)  # of 9 positions
    layer(torch.randn(2, 6, 3, 3) * 100, torch.randn(2, 6)).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_too_few_positions_and_wrong_inputs():
    layer = aggregation(clusters=64)
    token = torch.zeros(1, 6)
    assert smallest_grid(64) == 9
    assert layer(torch.randn(1, 6, 5, 13), token).shape == (1, 197)  # 65 positions
    with pytest.raises(ValueError, match=r"8x8 positions is too small for 64 clusters.* 9x9 .* 126x126 px"):
        layer(torch.randn(1, 6, 8, 8), token)
    with pytest.raises(
        ValueError, match=r"takes a map \(B, 6, H, W\) and a token \(B, 6\), got \(1, 5, 9, 9"
    ):
        layer(torch.randn(1, 5, 9, 9), token)
    with pytest.raises(ValueError, match=r"and a token \(B, 6\), got \(1, 6, 9, 9\) and \(2, 6\)"):
        layer(torch.randn(1, 6, 9, 9), torch.zeros(2, 6))
    with pytest.raises(TypeError, match="floating-point"):
        layer(torch.ones(1, 6, 9, 9, dtype=torch.int64), token)
    with pytest.raises(ValueError, match=r"more positions than clusters, got \(1, 4, 4\)"):
        transport_plan(torch.zeros(1, 4, 4), torch.tensor(1.0))
    with pytest.raises(ValueError, match="clusters must be a positive integer, got 0"):
        aggregation(clusters=0)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\)"):
        aggregation(dropout=1.0)
