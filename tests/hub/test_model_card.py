"""The card says what the cfg says, and nothing else."""

import re
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

import landmarkzoo as lz
from landmarkzoo.hub.model_cards import model_card

CFG = lz.get_model_cfg("dolg_efficientnet_b5")


def front_matter(text):
    start, front, _ = text.split("---\n", 2)
    assert start == ""
    return front.splitlines()


def test_front_matter_for_the_hub():
    lines = front_matter(model_card(CFG, "org/repo"))
    assert lines[:3] == ["library_name: landmarkzoo", "pipeline_tag: image-feature-extraction", "tags:"]
    assert {"- landmark-retrieval", "- image-retrieval", "- dolg"} <= set(lines)
    assert not [line for line in lines if "license" in line]


@pytest.mark.parametrize(
    ("stated", "lines"),
    [
        ("Apache-2.0", ["license: apache-2.0"]),
        ("CC BY-NC 4.0", ["license: cc-by-nc-4.0"]),
        ("Ours: research only", ["license: other", 'license_name: "ours-research-only"']),
    ],
)
def test_licence_as_stated(stated, lines):
    text = model_card(replace(CFG, license=stated), "org/repo")
    assert [line for line in front_matter(text) if "license" in line] == lines
    assert f"Of the weights: {stated}." in text


def test_scores_of_the_paper_are_not_those_of_the_weights():
    text = model_card(CFG, "org/repo")
    assert "## Scores\n\nNo scores are stated for these weights." in text
    paper = text.split("## Scores in the paper, for the authors' weights, not for these")[1]
    assert paper.count("as published (hidden test set, not re-run)") == 4
    own = lz.Score("GAP", 0.1234, "own split")
    text = model_card(replace(CFG, scores=(own,)), "org/repo")
    assert "| GAP | 0.1234 | own split |" in text
    assert "in the paper" not in text


def test_everything_that_describes_the_model():
    cfg = replace(CFG, mean=(0.1, 0.2, 0.3), training_data="Twelve photos")
    text = model_card(cfg, "org/repo", parameters=33_900_000, classes=81_313)
    for part in (
        "| Image size | 768 x 768 px, bicubic, squash |",
        "| Mean, standard deviation | 0.1, 0.2, 0.3; 0.229, 0.224, 0.225 |",
        "| Descriptor size | 512 |",
        "| Parameters | 33.9 million |",
        "| Head | 81,313 classes |",
        "DOLG(backbone='tf_efficientnet_b5.ns_jft_in1k', dilations=(6, 12, 18), stem_stride=2)",
        "## Training data\n\nTwelve photos",
        "Henkel 2021, [arXiv 2110.03786](https://arxiv.org/abs/2110.03786)",
    ):
        assert part in text


def test_of_a_model_by_hand_nothing_is_made_up():
    text = model_card(lz.GlobalDescriptor("test_efficientnet", embedding_dim=16).cfg, "me/repo")
    for absent in ("where it is called", "Citation", "Parameters", "load_head", "Scores in the paper"):
        assert absent not in text
    assert "## Training data\n\nNot stated." in text


def test_code_of_the_card_is_python_that_names_the_repository():
    text = model_card(CFG, "org/repo", classes=3, revision="v1")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    compile(code, "card", "exec")
    assert code.count('"hf-hub:org/repo@v1"') == 2


def test_the_client_reads_it():
    card = ModelCard(model_card(replace(CFG, license="Ours: research only"), "org/repo"))
    assert card.data.library_name == "landmarkzoo"
    assert card.data.license == "other"
    assert card.data.license_name == "ours-research-only"
    assert "dolg" in card.data.tags


def test_the_card_says_what_registers_a_class_of_others():
    def code(module):
        return model_card(CFG, "org/repo", module=module).split("```")[1]

    assert "import towers.models  # registers DOLG\n" in code("towers.models")
    assert "# Define DOLG first, with @lz.register_architecture" in code("__main__")
    assert code("landmarkzoo.models.dolg") == code(None)
