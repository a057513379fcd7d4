"""The models of the paper, small ones, and strong frozen ones, as data, without landmark weights."""

from __future__ import annotations

from typing import Any

from landmarkzoo.metrics import Score
from landmarkzoo.models.model_cfg import ModelCfg

_PAPER = "Henkel 2021, arXiv 2110.03786"
_DINOV2 = "Oquab et al. 2023, arXiv 2304.07193"
_DINOV3 = "Siméoni et al. 2025, arXiv 2508.10104"
_SIGLIP2 = "Tschannen et al. 2025, arXiv 2502.14786"
_LITE_INPUT: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def _table_1(
    recognition: tuple[float, float] | None = None, retrieval: tuple[float, float] | None = None
) -> tuple[Score, ...]:
    """Scores of table 1 as the paper states them: (private, public) of each track."""
    data = "Google Landmark {} 2021, {} leaderboard, as published (hidden test set, not re-run)"
    tracks = (("GAP", "Recognition", recognition), ("mAP@100", "Retrieval", retrieval))
    return tuple(
        Score(metric, value, data.format(track, board), of_paper=True)
        for metric, track, values in tracks
        for value, board in zip(values or (), ("private", "public"))
    )


def _dolg(backbone: str, size: int, dilations: tuple[int, ...], **fields: Any) -> ModelCfg:
    stem_stride = fields.pop("stem_stride", 2)
    args = {"backbone": backbone, "dilations": dilations, "stem_stride": stem_stride}
    return ModelCfg("DOLG", args, input_size=(3, size, size), paper=_PAPER, **fields)


def _hybrid(cnn: str, transformer: str, size: int, level: int, **fields: Any) -> ModelCfg:
    args = {"cnn": cnn, "transformer": transformer, "image_size": size, "cnn_level": level}
    args["stem_stride"] = fields.pop("stem_stride", 2)
    return ModelCfg("HybridSwin", args, input_size=(3, size, size), paper=_PAPER, **fields)


def _global(backbone: str, size: int, pool: str, neck: str, **fields: Any) -> ModelCfg:
    args = {"backbone": backbone, "pool": pool, "neck": neck, **fields.pop("args", {})}
    return ModelCfg("GlobalDescriptor", args, input_size=(3, size, size), **fields)


# `weights`, `training_data` and `license` are None in all entries. The scores are those of the paper's own
# weights.
OURS: dict[str, ModelCfg] = {
    # the paper's table 1
    "dolg_efficientnet_b5": _dolg(
        "tf_efficientnet_b5.ns_jft_in1k",
        768,
        dilations=(6, 12, 18),
        scores=_table_1(recognition=(0.476, 0.497), retrieval=(0.478, 0.464)),
    ),
    "dolg_efficientnet_b6": _dolg(
        "tf_efficientnet_b6.ns_jft_in1k",
        768,
        dilations=(3, 6, 9),
        scores=_table_1(recognition=(0.476, 0.479), retrieval=(0.474, 0.454)),
    ),
    "dolg_efficientnet_b7": _dolg(
        "tf_efficientnet_b7.ns_jft_in1k",
        448,
        dilations=(3, 6, 9),
        stem_stride=1,
        scores=_table_1(recognition=(0.465, 0.484), retrieval=(0.470, 0.458)),
    ),
    "hybrid_efficientnet_b3_swin_base_224": _hybrid(
        "tf_efficientnet_b3.ns_jft_in1k",
        "swin_base_patch4_window7_224",
        896,
        level=16,
        scores=_table_1(recognition=(0.462, 0.487), retrieval=(0.481, 0.454)),
    ),
    "hybrid_efficientnet_b5_swin_base_224": _hybrid(
        "tf_efficientnet_b5.ns_jft_in1k",
        "swin_base_patch4_window7_224",
        448,
        level=16,
        stem_stride=1,
        scores=_table_1(recognition=(0.462, 0.482), retrieval=(0.476, 0.443)),
    ),
    "hybrid_efficientnet_b6_swin_base_384": _hybrid(
        "tf_efficientnet_b6.ns_jft_in1k",
        "swin_base_patch4_window12_384",
        384,
        level=8,
        stem_stride=1,
        scores=_table_1(recognition=(0.467, 0.492), retrieval=(0.487, 0.462)),
    ),
    "efficientnet_b3": _global(
        "tf_efficientnet_b3.ns_jft_in1k",
        768,
        pool="avg",
        neck="fc-silu",
        paper=_PAPER,
        scores=_table_1(recognition=(0.463, 0.487)),
    ),
    "efficientnet_b6": _global(
        "tf_efficientnet_b6.ns_jft_in1k",
        512,
        pool="avg",
        neck="fc-silu",
        paper=_PAPER,
        scores=_table_1(recognition=(0.470, 0.484), retrieval=(0.454, 0.441)),
    ),
    "efficientnet_b5_gem": _global(
        "tf_efficientnet_b5.ns_jft_in1k",
        704,
        pool="gem",
        neck="fc-bn",
        args={"pool_trainable": False},
        paper=_PAPER,
        scores=_table_1(retrieval=(0.459, 0.428)),
    ),
    # small ones for laptops and tests
    "dolg_efficientnet_lite0": _dolg("tf_efficientnet_lite0.in1k", 224, (3, 6, 9), **_LITE_INPUT),
    "dolg_efficientnet_b0": _dolg("tf_efficientnet_b0.ns_jft_in1k", 224, (3, 6, 9)),
    "efficientnet_lite0_gem": ModelCfg(
        "GlobalDescriptor", {"backbone": "tf_efficientnet_lite0.in1k"}, paper=_PAPER, **_LITE_INPUT
    ),
    "hybrid_efficientnet_b0_swin_tiny_224": _hybrid(
        "tf_efficientnet_b0.ns_jft_in1k", "swin_tiny_patch4_window7_224", 448, level=8
    ),
    # strong frozen ones: pretrained_backbone=True gives all their weights
    "dinov2_vit_small": _global(
        "vit_small_patch14_dinov2.lvd142m", 224, "cls", "none", embedding_dim=384, paper=_DINOV2
    ),
    "dinov2_vit_base": _global(
        "vit_base_patch14_dinov2.lvd142m", 224, "cls", "none", embedding_dim=768, paper=_DINOV2
    ),
    "dinov3_vit_small": _global(
        "vit_small_patch16_dinov3.lvd1689m", 256, "cls", "none", embedding_dim=384, paper=_DINOV3
    ),
    "siglip2_vit_base": _global(
        "vit_base_patch16_siglip_gap_224.v2_webli",
        224,
        "avg",
        "none",
        embedding_dim=768,
        paper=_SIGLIP2,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
}
