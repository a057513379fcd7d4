"""The model card (README.md) of a repository on the Hub, made from the cfg of its model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from landmarkzoo.metrics import Score

CARD_FILE = "README.md"
# Ids of licences on the Hub. Any other licence is "other" there, with a name.
_LICENSE_ID = re.compile(
    r"apache-2\.0|mit|bsd-[23]-clause|[al]?gpl-3\.0|mpl-2\.0|unlicense|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-4\.0"
)


def model_card(
    cfg: Any,
    repo: str,
    *,
    parameters: int | None = None,
    classes: int | None = None,
    revision: str | None = None,
    module: str | None = None,
) -> str:
    """Make a model card: Markdown with YAML front matter.

    The card states only what the cfg states; in particular, no licence is assumed.

    Args:
        cfg: The cfg of the model. Scores that the paper reports for its own weights are listed apart.
        repo: ``"org/repo"``, for the example that loads the model.
        parameters: Number of parameters of the model.
        classes: Number of classes of the head, if there is one.
        revision: Branch, for the example that loads the model.
        module: Where the class of the model is defined, ``type(model).__module__``. If that is outside of
            landmarkzoo, the example imports it.

    Returns:
        The text of ``README.md``.

    Examples:
        >>> card = model_card(lz.get_model_cfg("efficientnet_lite0_gem"), "org/repo", parameters=4_000_000)
        >>> card.splitlines()[1], "license:" in card, "4.0 million" in card
        ('library_name: landmarkzoo', False, True)
    """
    parts = [
        _front_matter(cfg),
        f"# {repo.rpartition('/')[2]}",
        f"A model for landmark retrieval: photos in, descriptors of size {cfg.embedding_dim} out, to be "
        f"compared by their cosine. Made with landmarkzoo{_registered(cfg)}.",
        _usage(repo if revision is None else f"{repo}@{revision}", classes, _needed_first(cfg, module)),
        _table(cfg, parameters, classes),
        _training(cfg),
        _scores(cfg),
        _license(cfg),
        *([f"## Citation\n\nThe model is described in {_linked(cfg.paper)}."] if cfg.paper else []),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(cfg: Any) -> str:
    lines = ["library_name: landmarkzoo", "pipeline_tag: image-feature-extraction"]
    if cfg.license is not None:
        lines += _license_lines(cfg.license)
    tags = ["landmarkzoo", "landmark-retrieval", "image-retrieval", cfg.architecture.lower()]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _license_lines(license: str) -> list[str]:
    known = re.sub(r"\s+", "-", license.strip().lower())
    if _LICENSE_ID.fullmatch(known):
        return [f"license: {known}"]
    return ["license: other", f"license_name: {json.dumps(re.sub(r'[^a-z0-9.]+', '-', known).strip('-'))}"]


def _registered(cfg: Any) -> str:
    return f", where it is called `{cfg.name}`" if cfg.name else ""


def _needed_first(cfg: Any, module: str | None) -> list[str]:
    """Code that registers the class of a model, if it is not one of landmarkzoo's."""
    if module is None or module.partition(".")[0] == "landmarkzoo":
        return []
    if module == "__main__":
        return [f"# Define {cfg.architecture} first, with @lz.register_architecture: no package has it."]
    return [f"import {module}  # registers {cfg.architecture}"]


def _usage(name: str, classes: int | None, needed_first: Sequence[str]) -> str:
    code = [
        "import landmarkzoo as lz",
        *needed_first,
        "",
        f'model = lz.create_model("hf-hub:{name}")',
        'index = lz.embed(model, "photos/")',
        "ranking = lz.search(index, index, k=5, exclude_same_id=True)",
    ]
    if classes is not None:
        code += ["", f'head, class_names = lz.load_head("hf-hub:{name}")  # {classes:,} classes']
    return "\n".join(["## Use it", "", "```python", *code, "```"])


def _table(cfg: Any, parameters: int | None, classes: int | None) -> str:
    arguments = ", ".join(f"{key}={value!r}" for key, value in cfg.args.items())
    rows = [
        ("Architecture", f"`{cfg.architecture}({arguments})`"),
        ("Image size", f"{cfg.input_size[1]} x {cfg.input_size[2]} px, {cfg.interpolation}, {cfg.resize}"),
        ("Mean, standard deviation", f"{_numbers(cfg.mean)}; {_numbers(cfg.std)}"),
        ("Descriptor size", str(cfg.embedding_dim)),
    ]
    views = [f"scales {_numbers(cfg.scales)}"] if len(cfg.scales) > 1 else []
    views += ["the photo and its mirror image"] if cfg.flip else []
    if views:
        rows.append(("Views of a photo", f"{', '.join(views)}; the {cfg.combine} of their unit vectors"))
    if cfg.weights is not None and not isinstance(cfg.weights, str):
        rows.append(("Weights from", f"{cfg.weights.address}, in the layout {cfg.weights.layout}"))
    if parameters is not None:
        rows.append(("Parameters", f"{parameters / 1e6:.1f} million"))
    if classes is not None:
        rows.append(("Head", f"{classes:,} classes"))
    return _markdown_table("What it is", ("", ""), rows) + (
        "\n\nThe transform belongs to the weights: `lz.create_transform(model)` and `lz.embed` apply it."
    )


def _training(cfg: Any) -> str:
    return f"## Training data\n\n{cfg.training_data or 'Not stated.'}"


def _scores(cfg: Any) -> str:
    of_paper = [score for score in cfg.scores if score.of_paper]
    own = [score for score in cfg.scores if not score.of_paper]
    text = "## Scores\n\nNo scores are stated for these weights."
    if own:
        text = _score_table("Scores", own)
    if of_paper:
        text += "\n\n" + _score_table(
            "Scores in the paper, for the authors' weights, not for these", of_paper
        )
    return text


def _score_table(title: str, scores: Sequence[Score]) -> str:
    rows = [(score.metric, f"{score.value:.4g}", score.protocol) for score in scores]
    return _markdown_table(title, ("Metric", "Score", "Data and protocol"), rows)


def _license(cfg: Any) -> str:
    stated = f"Of the weights: {cfg.license}." if cfg.license else "No licence is stated for these weights."
    return f"## Licence\n\n{stated}"


def _linked(paper: str) -> str:
    return re.sub(r"arXiv[: ](\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _markdown_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in lines]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in cells)
