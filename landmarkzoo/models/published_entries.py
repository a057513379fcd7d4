"""Landmark weights by name, as data: where they are, licences, scores, and how photos are read.

Those of the tag ``rendered`` are ours and lie in this package, with their entry. The others were published by
others: addresses, hashes and constants are those of the authors' pages and code. The scores are those that
the authors state for these files; nobody here has re-run them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.metrics import Score
from landmarkzoo.models.model_cfg import ModelCfg
from landmarkzoo.models.packaged_weights import packaged_cfg
from landmarkzoo.models.zoo_entries import OURS

_GEM = "Radenović et al. 2018, arXiv 1711.02512"
_DOLG = "Yang et al. 2021, arXiv 2108.02927"
_CVNET = "Lee et al. 2022, arXiv 2204.01458"
_SUPERGLOBAL = "Shao et al. 2023, arXiv 2308.06954"
_MEGALOC = "Berton & Masone 2025, arXiv 2502.17237"
_COSPLACE = "Berton et al. 2022, arXiv 2204.02287"
_EIGENPLACES = "Berton et al. 2023, arXiv 2308.10832"

_CIRTORCH = "http://cmp.felk.cvut.cz/cnnimageretrieval/data/networks"
_GITHUB = "https://github.com/gmberton"
_GLDV2 = "Google Landmarks v2, cleaned: 81,313 landmarks"
_SF_XL = "SF-XL, street photos of San Francisco: for places in cities, weak on landmarks"

# What `create_model(name, pretrained=True)` says of weights that have to be fetched by hand.
BY_HAND: Mapping[str, str] = {
    "dolg_efficientnet_b5": (
        "its authors published them as two ONNX files, in the release v0.0.1-alpha of "
        "https://github.com/ChristofHenkel/kaggle-landmark-2021-1st-place: download both, then model, head = "
        "lz.convert_checkpoint('model_headless.onnx', 'dolg_efficientnet_b5.gldv2x', head='model_head.onnx')"
    )
}


def _revisited(how: str, *values: float) -> tuple[Score, ...]:
    """Scores on ROxford and RParis, in per cent: ROxford medium and hard, RParis medium and hard."""
    sets = ("ROxford5k, medium", "ROxford5k, hard", "RParis6k, medium", "RParis6k, hard")
    return tuple(
        Score("mAP", round(value / 100, 5), f"{data}, {how}, as published (not re-run)")
        for data, value in zip(sets, values, strict=True)
    )


def _gem(depth: int, data: str, file: str, *scores: float) -> ModelCfg:
    """GeM with a learned whitening (cirtorch)."""
    return ModelCfg(
        "GlobalDescriptor",
        {"backbone": f"resnet{depth}.tv_in1k", "pool": "gem", "neck": "fc", "normalize_pooled": True}
        | {"embedding_dim": 2048},
        input_size=(3, 1024, 1024),
        interpolation="lanczos",
        resize="longest",
        scales=(1.0, 2**0.5, 0.5**0.5),
        scale_resize="bilinear",
        embedding_dim=2048,
        weights=WeightsFile("cirtorch", url=f"{_CIRTORCH}/{file}"),
        training_data=data,
        scores=_revisited("longer side 1024 px, queries cropped, 3 scales", *scores),
        paper=_GEM,
    )


def _gem_tags(depth: int, sfm120k: tuple[Any, ...], gl18: tuple[Any, ...]) -> dict[str, ModelCfg]:
    folders = ("retrieval-SfM-120k/rSfM120k", "gl18/gl18")
    sfm_file, gl_file = (
        f"{folder}-tl-resnet{depth}-gem-w-{digits}.pth"
        for folder, digits in zip(folders, (sfm120k[0], gl18[0]))
    )
    return {
        "sfm120k": _gem(depth, "retrieval-SfM-120k: 3D models of landmarks", sfm_file, *sfm120k[1:]),
        "gl18": _gem(depth, "Google Landmarks 2018", gl_file, *gl18[1:]),
    }


def _dolg(depth: int, size: int, sha256: str, *scores: float) -> dict[str, ModelCfg]:
    """DOLG as in its own paper, from somebody's mirror of the authors' files."""
    arguments: dict[str, Any] = {"hidden_dim": 1024, "dilations": (), "global_map": "pooled", "neck": "fc"}
    cfg = ModelCfg(
        "DOLG",
        {"backbone": f"resnet{depth}.tv_in1k", "embedding_dim": 512, **arguments},
        input_size=(3, 1024, 1024),
        resize="none",
        scales=(0.3535, 0.5, 0.7071, 1.0, 1.4142),
        scale_resize="bilinear-rounded",
        embedding_dim=512,
        weights=WeightsFile(
            "iccv_dolg",
            repo="Shiro/DOLG",
            file=f"r{depth}_dolg_512.pt",
            revision="432c3d3939a0eb0e46d73126935025b8435d65b9",
            sha256=sha256,
            size=size,
        ),
        training_data=_GLDV2,
        scores=_revisited("photos at their own size, queries cropped, 5 scales", *scores),
        paper=_DOLG,
    )
    return {"gldv2": cfg}


def _cvnet(depth: int, paper: str, arguments: Mapping[str, Any], **fields: Any) -> dict[str, ModelCfg]:
    """The global branch of CVNet, of a file that SuperGlobal reads otherwise."""
    cfg = ModelCfg(
        "GlobalDescriptor",
        {"backbone": f"resnet{depth}.tv_in1k", "neck": "fc", "embedding_dim": 2048, **arguments},
        input_size=(3, 1024, 1024),
        resize="none",
        scales=(0.7071, 1.0, 1.4142),
        scale_resize="area",  # OpenCV's INTER_AREA to smaller sizes, INTER_LINEAR to larger ones
        embedding_dim=2048,
        weights=WeightsFile(
            "cvnet", repo="alexwww94/CVNet_mteb", file=f"CVPR2022_CVNet_R{depth}.pyth", revision="44b80ac"
        ),
        training_data=_GLDV2,
        paper=paper,
        **fields,
    )
    return {"gldv2": cfg}


_SUPERGLOBAL_ARGUMENTS: dict[str, Any] = {
    "pool": "regional-gem",
    "pool_args": {"p": 4.6, "eps": 1e-8},
    "pool_trainable": False,
    "normalize_pooled": True,
    "relu_floor": 0.014,
}


def _superglobal(depth: int) -> dict[str, ModelCfg]:
    tags = _cvnet(depth, _SUPERGLOBAL, _SUPERGLOBAL_ARGUMENTS, combine="max")
    return {tag: replace(cfg, scale_resize="bilinear-cut") for tag, cfg in tags.items()}


def _places(code: str, depth: int, sizes: tuple[int, ...], paper: str) -> dict[str, ModelCfg]:
    """CosPlace or EigenPlaces, one tag for each size of descriptor."""
    return {f"sf_xl_{size}": _place(code, depth, size, paper) for size in sizes}


def _place(code: str, depth: int, size: int, paper: str) -> ModelCfg:
    file = f"ResNet{depth}_{size}_{code.lower()}.pth"
    return ModelCfg(
        "GlobalDescriptor",
        {"backbone": f"resnet{depth}.tv_in1k", "pool": "gem", "neck": "fc", "normalize_map": True}
        | {"embedding_dim": size},
        input_size=(3, 512, 512),
        interpolation="bilinear",
        resize="none",
        embedding_dim=size,
        weights=WeightsFile("places", url=f"{_GITHUB}/{code}/releases/download/v1.0/{file}"),
        training_data=_SF_XL,
        license="MIT",
        paper=paper,
    )


_MEGALOC_CFG = ModelCfg(
    "SALAD",
    {"backbone": "vit_base_patch14_dinov2.lvd142m", "clusters": 64, "cluster_dim": 256, "token_dim": 256}
    | {"hidden_dim": 512, "embedding_dim": 8448, "position_resize": "dinov2"},
    input_size=(3, 322, 322),
    interpolation="bilinear",
    embedding_dim=8448,
    weights=WeightsFile(
        "megaloc",
        repo="gberton/MegaLoc",
        file="model.safetensors",
        revision="7cb9f7970d366fdf059963d04d372e503e8e9df9",
        sha256="d4f9f2bcb60018f91eb6a8e061ed054fd55654e10c2569cf13841ea986ffb4f8",
    ),
    training_data="five sets of photos of places and landmarks",
    license="MIT",
    paper=_MEGALOC,
)

# The paper's own model. Whether these weights reached the scores of the paper is not said, so they stay its.
_B5 = OURS["dolg_efficientnet_b5"]
_B5_GLDV2X = replace(
    _B5,
    args={**_B5.args, "projection": "reference"},
    training_data="GLDv2x: Google Landmarks v2, all photos of the 81,313 landmarks of its clean part",
    license="MIT",
)

# name -> tag -> model; a name alone is its first tag, "" where its weights are to be asked for.
PUBLISHED: dict[str, dict[str, ModelCfg]] = {
    "dolg_efficientnet_b5": {"": _B5, "gldv2x": _B5_GLDV2X},
    "efficientnet_lite0_gem": {
        "": OURS["efficientnet_lite0_gem"],
        "rendered": packaged_cfg("efficientnet_lite0_gem.rendered"),
    },
    "gem_resnet50": _gem_tags(50, ("97bf910", 64.7, 39.0, 76.3, 54.9), ("83fdc30", 63.6, 40.9, 78.0, 57.5)),
    "gem_resnet101": _gem_tags(101, ("a155e54", 67.8, 41.7, 77.6, 56.3), ("a4d43db", 67.3, 44.3, 80.6, 61.5)),
    "gem_resnet152": _gem_tags(152, ("f39cada", 68.8, 41.3, 78.0, 57.2), ("21278d5", 68.7, 44.2, 79.7, 60.3)),
    "dolg_resnet50": _dolg(
        50,
        277_694_709,
        "d5548bc7daa330b9396607411160b3c33cd2f0acc00f21daae849f390534d991",
        *(81.20, 62.55, 90.07, 79.20),
    ),
    "dolg_resnet101": _dolg(
        101,
        353_977_741,
        "fa86f4bad51ec4f5d060108cdae7e09b82e0f62f6e2c3b245cfa2032a7373e2c",
        *(82.37, 64.93, 90.97, 81.71),
    ),
    "cvnet_resnet50": _cvnet(50, _CVNET, {"pool": "gem"}),
    "cvnet_resnet101": _cvnet(101, _CVNET, {"pool": "gem"}),
    "superglobal_resnet50": _superglobal(50),
    "superglobal_resnet101": _superglobal(101),
    "megaloc": {"": _MEGALOC_CFG},
    "cosplace_resnet18": _places("CosPlace", 18, (512, 256, 128, 64, 32), _COSPLACE),
    "cosplace_resnet50": _places("CosPlace", 50, (512, 2048, 1024, 256, 128, 64, 32), _COSPLACE),
    "cosplace_resnet101": _places("CosPlace", 101, (512, 2048, 1024, 256, 128, 64, 32), _COSPLACE),
    "cosplace_resnet152": _places("CosPlace", 152, (512, 2048, 1024, 256, 128, 64, 32), _COSPLACE),
    "eigenplaces_resnet18": _places("EigenPlaces", 18, (512, 256), _EIGENPLACES),
    # 1024 is left out: one list of the authors has it, another, for their comparison of methods, has not.
    "eigenplaces_resnet50": _places("EigenPlaces", 50, (512, 2048, 256, 128), _EIGENPLACES),
    "eigenplaces_resnet101": _places("EigenPlaces", 101, (512, 2048, 256, 128), _EIGENPLACES),
}
