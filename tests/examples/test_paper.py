"""The paper end to end on a miniature: every number against the blocks called by hand."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import miniature_gldv2
import numpy as np
import paper
import paper_job
import pytest
import torch

import landmarkzoo as lz

NAMES = ("one", "two", "dolg")


def saved(folder, name):
    """A tiny model whose statistics and neck are those of rendered photos, so that photos differ."""
    torch.manual_seed(NAMES.index(name))
    if name == "dolg":
        model = lz.DOLG("test_efficientnet", hidden_dim=32, embedding_dim=16, dilations=(1, 1, 1))
    else:
        model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=16)
    model.cfg = replace(model.cfg, input_size=(3, 64, 64))
    photos = lz.rendered.RenderedLandmarks(
        8, 4, 8, image_size=64, seed=9, transform=lz.create_transform(model)
    )
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = 1.0
    model.train()(torch.stack([photos[row][0] for row in range(len(photos))]))
    lz.whiten_neck(model.eval(), photos, progress=False)
    model.save_pretrained(folder / name)
    return f"local-dir:{folder / name}"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [saved(folder, name) for name in NAMES]


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    root = tmp_path_factory.mktemp("gldv2") / "mini"
    sizes = ["--landmarks", "6", "--views", "8", "--distractors", "16", "--image-size", "64"]
    miniature_gldv2.main([str(root), *sizes])
    return root


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """So small that every stage has several, and an odd rest."""
    for name, size in (("VOTES", 7), ("RANKINGS", 5), ("ANSWERS", 4), ("FUSED", 9)):
        monkeypatch.setattr(paper, name, size)


def options(mini, models, out, *more):
    labelled = ["--labelled", "x", str(mini / "wit" / "wit.csv")]
    others = ["--non-landmarks", str(mini / "non_landmark"), "--workers", "0", "--precision", "float32"]
    return [str(mini), "--models", *models, *labelled, *others, "--out", str(out), *more]


@pytest.fixture(scope="module")
def finished(mini, models, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("VOTES", 7), ("RANKINGS", 5), ("ANSWERS", 4), ("FUSED", 9)):
            patch.setattr(paper, name, size)
        return out, paper.main(options(mini, models, out))


class ByHand:
    """The photos of the miniature, and what the run wrote of them, in memory."""

    def __init__(self, mini, models, out):
        self.test, self.index = (lz.datasets.GLDv2(mini, split) for split in ("test", "index"))
        train = lz.datasets.GLDv2(mini, "x")
        wit = lz.datasets.CsvPhotos(mini / "wit" / "wit.csv", label_column="landmark_id")
        of_wit = [int(wit.classes[label]) for label in wit.targets]
        self.labels = np.array([*train.landmarks_of(train.targets), *of_wit])
        self.known = self.index.landmarks_of(self.index.targets)
        self.photos = {"test": [self.test], "index": [self.index], "train": [train, wit]}
        self.photos["non_landmark"] = [mini / "non_landmark"]
        self.d = {}
        for name in models:
            (folder,) = out.glob(f"*_{Path(name).name}-*")
            indexes = {part: lz.Index.open(folder / part) for part in self.photos}
            self.d[name] = {part: lz.Descriptors(x.ids, x.vectors.copy()) for part, x in indexes.items()}

    def average_precision(self, ids, truth):
        """As the competition defines it, by a loop."""
        total, hits = 0.0, 0
        for place, id_ in enumerate(ids[:100], start=1):
            if id_ in truth:
                hits += 1
                total += hits / place
        return total / min(len(truth), 100)

    def mean_ap(self, found):
        solution = self.test.retrieval
        counts = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
        assert len(counts) > 5
        return np.mean(
            [self.average_precision(found[solution.ids[n]], set(solution.truth[n])) for n in counts]
        )

    def matching(self, d):
        """Queries that count, and the photos of the index that are right for one of them."""
        solution = self.test.retrieval
        counts = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
        matches = sorted({id_ for n in counts for id_ in solution.truth[n]}, key=self.index.ids.index)
        assert len(matches) < len(self.index)
        return d["test"][[solution.ids[n] for n in counts]], d["index"][matches]

    def gap(self, recognition):
        usage, truth = self.test.usage, self.test.truth
        rows = [n for n in range(len(self.test)) if usage[n] != "Ignored"]
        ids = [self.test.ids[n] for n in rows]
        right = [truth[n] for n in rows]
        return lz.metrics.gap(recognition.labels[rows], recognition.scores[rows], right, ids=ids)


@pytest.fixture(scope="module")
def by_hand(mini, models, finished):
    return ByHand(mini, models, finished[0])


def as_dict(ranking):
    return dict(zip(ranking.query_ids, ranking.ids.tolist()))


def test_descriptors_are_those_of_embed(by_hand, models):
    for name in models:
        model = lz.create_model(name)
        for part, sources in by_hand.photos.items():
            embedded = [lz.embed(model, photos, progress=False, precision="float32") for photos in sources]
            expected = lz.Descriptors.concat(embedded)
            assert by_hand.d[name][part].ids == list(expected.ids)
            np.testing.assert_allclose(by_hand.d[name][part].vectors, expected.vectors, atol=1e-5)


def test_validation_of_retrieval(finished, by_hand, models):
    scores, rankings = finished[1], []
    for name in models:
        d = by_hand.d[name]
        queries, index = by_hand.matching(d)
        plain = lz.search(queries, index, k=100)
        assert scores[name]["mAP@100"] == pytest.approx(by_hand.mean_ap(as_dict(plain)), abs=1e-12)
        soft = lz.rerank.soft_discriminative(queries, index, d["train"], by_hand.labels, k=750)
        assert scores[name]["re-ranked"] == pytest.approx(by_hand.mean_ap(as_dict(soft)), abs=1e-12)
        rankings.append(soft)
    summed = lz.ensemble.sum_scores(rankings, per_model=750, k=100)
    assert scores["ensemble"]["re-ranked"] == pytest.approx(by_hand.mean_ap(as_dict(summed)), abs=1e-12)
    assert len({round(of["re-ranked"], 9) for of in scores.values()}) == 4  # so that none stands for another


def test_submission_of_retrieval(finished, by_hand, models, tmp_path):
    out, scores = finished
    rankings = [
        lz.rerank.soft_discriminative(d["test"], d["index"], d["train"], by_hand.labels, k=750)
        for d in by_hand.d.values()
    ]
    summed = lz.ensemble.sum_scores(rankings, per_model=750, k=100)
    lz.datasets.write_retrieval_submission(tmp_path / "retrieval.csv", summed)
    assert (out / "retrieval.csv").read_bytes() == (tmp_path / "retrieval.csv").read_bytes()
    assert scores["ensemble"]["whole index"] == pytest.approx(by_hand.mean_ap(as_dict(summed)), abs=1e-12)


def test_recognition(finished, by_hand, models):
    out, scores = finished
    for name in models:
        d = by_hand.d[name]
        answers = lz.recognize(d["test"], d["train"], by_hand.labels, non_landmark=d["non_landmark"])
        assert scores[name]["GAP"] == pytest.approx(by_hand.gap(answers), abs=1e-9)
    one, two, dolg = by_hand.d.values()
    together = {part: lz.ensemble.concat_families([[one[part], two[part]], [dolg[part]]]) for part in one}
    assert together["train"].vectors.shape[1] == 32
    answers = lz.recognize(
        together["test"], together["train"], by_hand.labels, non_landmark=together["non_landmark"]
    )
    assert scores["ensemble"]["GAP"] == pytest.approx(by_hand.gap(answers), abs=1e-9)
    written = lz.datasets.read_recognition_submission(out / "recognition.csv")
    assert written.ids == by_hand.test.ids
    assert written.labels.tolist() == answers.labels.tolist()
    np.testing.assert_allclose(written.scores, answers.scores, atol=1e-6)


def test_scores_are_written_and_printed(finished, mini, models, capsys):
    out, scores = finished
    assert json.loads((out / "scores.json").read_text()) == scores
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert paper.main(options(mini, models, out)) == scores  # all stages are done
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    said = capsys.readouterr().out
    assert f"{scores['ensemble']['GAP']:.4f}" in said
    assert all(" s " in line and " MiB] " in line for line in said.splitlines() if line.startswith("["))


def test_index_photos_vote_in_the_submission_alone(mini, models, by_hand, tmp_path):
    scores = paper.main(options(mini, [], tmp_path, "--only-retrieval", models[0], "--index-votes"))
    d, known = by_hand.d[models[0]], by_hand.known >= 0
    assert 0 < known.sum() < len(known)
    voters = lz.Descriptors.concat([d["train"], d["index"][known]])
    labels = np.concatenate([by_hand.labels, by_hand.known[known]])
    ranking = lz.rerank.soft_discriminative(d["test"], d["index"], voters, labels, k=750)
    found = lz.datasets.read_retrieval_submission(tmp_path / "retrieval.csv")
    assert found == {query: ids[:100] for query, ids in as_dict(ranking).items()}
    queries, index = by_hand.matching(d)
    soft = lz.rerank.soft_discriminative(queries, index, d["train"], by_hand.labels, k=750)
    assert scores[models[0]]["re-ranked"] == pytest.approx(by_hand.mean_ap(as_dict(soft)), abs=1e-12)
    assert not (tmp_path / "recognition.csv").exists()


def test_a_model_can_join(finished, mini, models, tmp_path):
    """Of a model that was there nothing is computed again, and the result is that of all at once."""
    shutil.copytree(finished[0], tmp_path / "out")
    for name in models[2:]:
        shutil.rmtree(paper.folder_of(replace_out(tmp_path / "out"), name))
    two = paper.main(options(mini, models[:2], tmp_path / "out"))
    assert two[models[0]] == finished[1][models[0]]
    assert two["ensemble"] != finished[1]["ensemble"]
    assert paper.main(options(mini, models, tmp_path / "out")) == finished[1]
    for name in ("retrieval.csv", "recognition.csv", "scores.json"):
        assert (tmp_path / "out" / name).read_bytes() == (finished[0] / name).read_bytes()


def replace_out(out):
    return paper_job.Job(out, (), {}, None, False, "float32", "auto", "cpu", 0)


class KilledError(BaseException):
    """In place of SIGKILL: nothing in the code catches it."""


def test_killed_at_a_write(finished, mini, models, tmp_path, monkeypatch):
    """Each call gets a few files further, and leaves half a file behind."""
    write = paper_job.write_whole
    for calls in range(100):
        left = iter(range(calls % 6))

        def killed(path, content, left=left):
            if next(left, None) is not None:
                write(path, content)
                return
            content(path.with_name(f"{path.name}.half.tmp"))
            raise KilledError

        monkeypatch.setattr(paper_job, "write_whole", killed)
        try:
            paper.main(options(mini, models[:1], tmp_path))
            break
        except KilledError:
            pass
    assert calls > 5
    monkeypatch.setattr(paper_job, "write_whole", write)
    paper.main(options(mini, models, tmp_path))
    compare(tmp_path, finished[0])


@pytest.mark.slow  # a process for each kill
def test_killed_at_random(finished, mini, models, tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); import paper; paper.VOTES = 7; "
    code += "paper.RANKINGS, paper.ANSWERS, paper.FUSED = 5, 4, 9; paper.main(sys.argv[1:])"
    command = [sys.executable, "-c", code, str(Path(paper.__file__).parent), *options(mini, models, tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    draw, kills = np.random.default_rng(0), 0
    for _ in range(40):
        files = len(list(tmp_path.rglob("*")))
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wanted = files + draw.integers(10, 60)
        while process.poll() is None and len(list(tmp_path.rglob("*"))) < wanted:
            time.sleep(0.002)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills >= 3
    compare(tmp_path, finished[0])


def compare(out, other):
    """Results, and all that was computed on the way, are the same bytes; indexes have the same rows."""
    for name in ("retrieval.csv", "recognition.csv", "scores.json", "settings.json"):
        assert (out / name).read_bytes() == (other / name).read_bytes(), name
    blocks = [path.relative_to(other) for path in other.glob("*/re*/**/*.safetensors")]
    assert len(blocks) > 20
    for path in blocks:
        assert (out / path).read_bytes() == (other / path).read_bytes(), path
    for manifest in other.glob("*/*/manifest.json"):
        one, two = lz.Index.open(manifest.parent), lz.Index.open(out / manifest.parent.relative_to(other))
        assert one.ids == two.ids
        assert (one.vectors == two.vectors).all()
        assert one.labels.tolist() == two.labels.tolist()


def test_without_truth_and_without_non_landmarks(mini, models, by_hand, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(mini, root)
    for path in root.glob("*solution*"):
        path.unlink()
    scores = paper.main([str(root), "--models", models[0], "--out", str(tmp_path / "out"), "--workers", "0"])
    assert scores == {models[0]: {}, "ensemble": {}}
    d = by_hand.d[models[0]]
    clean = lz.datasets.GLDv2(mini, "clean")
    train = d["train"][clean.ids]
    answers = lz.recognize(d["test"], train, clean.landmarks_of(clean.targets))
    written = lz.datasets.read_recognition_submission(tmp_path / "out" / "recognition.csv")
    assert written.labels.tolist() == answers.labels.tolist()


def test_photos_that_cannot_be_read(mini, models, tmp_path, capsys):
    root = tmp_path / "root"
    shutil.copytree(mini, root)
    test, index = (lz.datasets.GLDv2(root, split) for split in ("test", "index"))
    test.path(0).write_bytes(b"not a photo")
    index.path(3).unlink()
    out = tmp_path / "out"
    scores = paper.main([str(root), "--models", models[0], "--out", str(out), "--workers", "0"])
    said = capsys.readouterr().out
    assert f"test: {len(test) - 1} photos; 1 cannot be read, such as {test.ids[0]}: " in said
    assert f"index: {len(index) - 1} photos; 1 cannot be read, such as {index.ids[3]}: " in said
    assert said.count("cannot be read") == 2
    assert 0 < scores[models[0]]["mAP@100"] < 1
    with (out / "retrieval.csv").open() as file:
        rows = {row["id"]: row["images"].split() for row in csv.DictReader(file)}
    assert list(rows) == test.ids
    assert rows[test.ids[0]] == []
    assert sorted(rows[test.ids[1]]) == sorted(set(index.ids) - {index.ids[3]})
    assert lz.datasets.read_recognition_submission(out / "recognition.csv").labels[0] == -1
    # a model that sees other photos is not mixed with the first
    index.path(3).write_bytes(index.path(2).read_bytes())
    with pytest.raises(ValueError, match=r"have other photos of index: remove .*index or .*index, run again"):
        paper.main([str(root), "--models", *models[:2], "--out", str(out), "--workers", "0"])


def test_what_does_not_fit_is_said(finished, mini, models, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    other = options(mini, models, out)
    other[other.index("x")] = "clean"
    with pytest.raises(ValueError, match=r"has results of other photos, .*train was \d+ photos with hash"):
        paper.main(other)
    with pytest.raises(ValueError, match="a photo is in two of the sets"):
        paper.main([str(mini), "--models", models[0], "--labelled", "clean", "x", "--out", str(out)])
    wide = lz.create_model(models[0])
    lz.GlobalDescriptor("test_efficientnet", embedding_dim=8).save_pretrained(tmp_path / "wide")
    with pytest.raises(ValueError, match=r"GlobalDescriptor have \[8, 16\] dimensions, .* FAMILY=NAME"):
        paper.main(options(mini, [models[0], f"local-dir:{tmp_path / 'wide'}"], out))
    with pytest.raises(SystemExit):
        paper.main([str(mini), "--out", str(out)])
    assert "give --models" in capsys.readouterr().err
    with torch.no_grad():
        wide.backbone.conv_stem.weight.add_(1)
    folder = tmp_path / "trained"
    shutil.copytree(models[0].removeprefix("local-dir:"), folder)
    paper.main(options(mini, [f"local-dir:{folder}"], out))
    wide.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"weights is .* not "):
        paper.main(options(mini, [f"local-dir:{folder}"], out))


def test_a_family_of_ones_own(mini, models, by_hand, tmp_path):
    names = [f"a={models[0]}", models[1], f"a={models[2]}"]
    paper.main(options(mini, [], tmp_path, "--only-recognition", *names, "--storage", "float16"))
    one, two, dolg = by_hand.d.values()
    together = {part: lz.ensemble.concat_families([[one[part], dolg[part]], [two[part]]]) for part in one}
    answers = lz.recognize(
        together["test"], together["train"], by_hand.labels, non_landmark=together["non_landmark"]
    )
    written = lz.datasets.read_recognition_submission(tmp_path / "recognition.csv")
    np.testing.assert_allclose(written.scores, answers.scores, atol=5e-3)  # float16
    assert np.mean(written.labels == answers.labels) > 0.9
    assert not (tmp_path / "retrieval.csv").exists()
