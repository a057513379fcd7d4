"""Every command of the guide to the paper runs, in order, with less to do."""

import re
import shlex
from pathlib import Path

import miniature_gldv2
import paper
import train

import landmarkzoo as lz

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "paper.md"
TEXT = GUIDE.read_text(encoding="utf-8")
LESS = {
    miniature_gldv2: ["--landmarks", "4", "--views", "14", "--distractors", "8", "--image-size", "48"],
    train: ["--epochs", "1", "--image-size", "32", "--workers", "0", "--device", "cpu"],
    paper: ["--workers", "0", "--device", "cpu"],
}


def test_commands_of_the_guide_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) == 4
    for command in commands:
        python, script, *arguments = shlex.split(command)
        assert python == "python"
        (example,) = (one for one in LESS if f"examples/{one.__name__}.py" == script)
        result = example.main([*arguments, *LESS[example]])
    assert set(result["ensemble"]) == {"re-ranked", "whole index", "GAP"}
    test = lz.datasets.GLDv2("mini", "test")
    answers = lz.datasets.read_recognition_submission("runs/paper/recognition.csv")
    assert answers.ids == test.ids
    assert list(lz.datasets.read_retrieval_submission("runs/paper/retrieval.csv")) == test.ids
    assert "MiB] wrote runs/paper" in capsys.readouterr().out


def test_the_guide_states_what_the_script_does():
    assert f"best {paper.PER_MODEL}" in TEXT
    assert f"best {paper.TOP} " in TEXT
    for rows in (paper.VOTES, paper.RANKINGS, paper.ANSWERS):
        assert f"a file for {rows:,} " in TEXT
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z-]*)", TEXT)}
    assert {"labelled", "non_landmarks", "index_votes", "only_retrieval", "only_recognition"} <= named
