"""Aggregation by optimal transport: each local feature is shared out among clusters, or left out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo._utils.checks import check_count
from landmarkzoo.layers.autocast import without_autocast
from landmarkzoo.layers.input_checks import check_floating_point


def transport_plan(scores: Tensor, dust_bin: Tensor, iterations: int = 3) -> Tensor:
    """Shares of each position that go to each cluster and to a dust bin, by Sinkhorn's iterations.

    As in [Izquierdo & Civera 2024](https://arxiv.org/abs/2311.15937): of n positions, each of
    mass 1, each of m clusters takes mass 1 and the dust bin what is left, n - m. Rows and columns are
    normalised in turn, columns last: the shares of a position sum to 1 exactly, those of a cluster to 1 in
    the limit. As rows are normalised first, the one score of the dust bin cancels out; published weights
    have one. Computed in the logarithm, in float32 at least.

    Args:
        scores: Score of each cluster for each position, (B, m, n), with n > m.
        dust_bin: Score of the dust bin for all positions, a tensor with one element.
        iterations: How often rows and columns are normalised.

    Returns:
        Shares (B, m + 1, n); the last row is that of the dust bin.

    Raises:
        TypeError: If ``scores`` is not a floating-point tensor.
        ValueError: If ``scores`` is of another shape, or there are not more positions than clusters.

    Examples:
        >>> shares = transport_plan(torch.tensor([[[2.0, 0.0, 0.0]]]), torch.tensor(1.0))
        >>> shares
        tensor([[[0.6249, 0.1840, 0.1840],
                 [0.3751, 0.8160, 0.8160]]])
        >>> shares.sum(dim=1)  # of each position
        tensor([[1.0000, 1.0000, 1.0000]])
    """
    check_floating_point(scores, "transport_plan")
    if scores.ndim != 3 or not scores.shape[2] > scores.shape[1]:
        raise ValueError(
            f"transport_plan takes scores (B, clusters, positions), more positions than clusters, got "
            f"{tuple(scores.shape)}"
        )
    batch, clusters, positions = scores.shape
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    log_shares = torch.cat(
        [wide, dust_bin.to(wide.dtype).expand(batch, 1, positions)], dim=1
    )  # (B, m, n) -> (B, m + 1, n)
    log_masses = F.pad(wide.new_zeros(clusters, 1), (0, 0, 0, 1), value=math.log(positions - clusters))
    for _ in range(iterations):
        log_shares = log_shares - log_shares.logsumexp(dim=2, keepdim=True) + log_masses  # a row
        log_shares = log_shares - log_shares.logsumexp(dim=1, keepdim=True)  # a position
    return log_shares.exp()


class OptimalTransportAggregation(nn.Module):
    """Local features summed up by cluster, beside the class token: the descriptor SALAD.

    Of [Izquierdo & Civera 2024](https://arxiv.org/abs/2311.15937). Small networks of two layers give a
    feature and the scores of the clusters at each position, and a feature of the token. ``transport_plan``
    makes shares of the scores; features times shares are summed over the positions. The sum of each cluster
    and the token are L2-normalised, and so is the whole. From the scores on this is computed in float32 at
    least, also under autocast.

    Args:
        in_channels: Channels of the map, and size of the token.
        clusters: Number of clusters.
        cluster_dim: Size of a local feature.
        token_dim: Size of the feature of the token.
        hidden_dim: Size of the hidden layers.
        dropout: Of the hidden layers of features and scores, in training only.
        iterations: Of ``transport_plan``.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: If a size is not a positive integer, ``dropout`` is not in [0, 1), the inputs are of other
            shapes, or the map has not more positions than there are clusters.

    Shape:
        (B, in_channels, H, W), (B, in_channels) -> (B, token_dim + cluster_dim * clusters): the token first,
        then the clusters, the index of the feature before that of the cluster.

    Examples:
        >>> aggregation = lz.layers.OptimalTransportAggregation(32, clusters=4, cluster_dim=8, token_dim=16)
        >>> aggregation(torch.randn(2, 32, 5, 7), torch.randn(2, 32)).shape
        torch.Size([2, 48])
    """

    def __init__(
        self,
        in_channels: int,
        *,
        clusters: int = 64,
        cluster_dim: int = 128,
        token_dim: int = 256,
        hidden_dim: int = 512,
        dropout: float = 0.3,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        self.in_channels = check_count(in_channels, "in_channels")
        self.clusters = check_count(clusters, "clusters")
        self.iterations = check_count(iterations, "iterations")
        cluster_dim = check_count(cluster_dim, "cluster_dim")
        token_dim = check_count(token_dim, "token_dim")
        hidden_dim = check_count(hidden_dim, "hidden_dim")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), 0 for none, got {dropout!r}")
        self.out_features = token_dim + cluster_dim * clusters
        self.token_features = nn.Sequential(
            nn.Linear(in_channels, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, token_dim)
        )
        self.cluster_features = _at_each_position(in_channels, hidden_dim, cluster_dim, dropout)
        self.score = _at_each_position(in_channels, hidden_dim, clusters, dropout)
        self.dust_bin = nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor, token: Tensor) -> Tensor:
        """Aggregate a map (B, in_channels, H, W) and a token (B, in_channels)."""
        self._check(features, token)
        local = self.cluster_features(features).flatten(2)  # (B, C, H, W) -> (B, d, n)
        scores = self.score(features).flatten(2)  # (B, C, H, W) -> (B, m, n)
        token = self.token_features(token)  # (B, C) -> (B, t)
        wide = torch.promote_types(features.dtype, torch.float32)
        with without_autocast(features.device):
            shares = transport_plan(scores.to(wide), self.dust_bin, self.iterations)[:, :-1]  # (B, m, n)
            sums = local.to(wide) @ shares.transpose(1, 2)  # (B, d, n), (B, n, m) -> (B, d, m)
            whole = torch.cat(
                [F.normalize(token.to(wide), dim=1), F.normalize(sums, dim=1).flatten(1)], dim=1
            )  # (B, t + d * m)
            return F.normalize(whole, dim=1).to(features.dtype)

    def _check(self, features: Tensor, token: Tensor) -> None:
        for given in (features, token):
            check_floating_point(given, "OptimalTransportAggregation")
        if features.ndim != 4 or token.shape != features.shape[:2] or token.shape[1] != self.in_channels:
            raise ValueError(
                f"this aggregation takes a map (B, {self.in_channels}, H, W) and a token (B, "
                f"{self.in_channels}), got {tuple(features.shape)} and {tuple(token.shape)}"
            )
        height, width = features.shape[2:]
        if height * width <= self.clusters:
            side = smallest_grid(self.clusters)
            raise ValueError(
                f"a map of {height}x{width} positions is too small for {self.clusters} clusters, which need "
                f"more positions than that: {side}x{side} are enough, which a transformer with patches of 14 "
                f"px gives for images of {14 * side}x{14 * side} px"
            )


def smallest_grid(clusters: int) -> int:
    """Side of the smallest square map that has more positions than there are clusters.

    Examples:
        >>> smallest_grid(64)
        9
    """
    return math.isqrt(clusters) + 1


def _at_each_position(in_channels: int, hidden: int, out_channels: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, kernel_size=1),
        nn.Dropout(dropout),
        nn.ReLU(),
        nn.Conv2d(hidden, out_channels, kernel_size=1),
    )
