"""The command finetune: it gains, says where all is, goes on after a signal, and names what is wrong."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import landmarkzoo as lz
from landmarkzoo.cli import main
from landmarkzoo.cli.finetune_command import SETTINGS

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "finetuning.md"
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("landmarkzoo finetune")
]
LESS = ["--epochs", "3", "--image-size", "64", "--test-size", "64", "--batch-size", "9"]
TINY = ["--epochs", "3", "--image-size", "32", "--test-size", "32", "--batch-size", "4"]


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Photos of 4 buildings, one folder each."""
    root, data = tmp_path_factory.mktemp("drawn"), lz.rendered.RenderedLandmarks(4, 9, 0, image_size=96)
    for row, (id_, label) in enumerate(zip(data.ids, data.targets)):
        path = root / f"building {label}" / f"{id_.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        data[row][0].save(path)
    return root


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Sixteen small pictures of two kinds."""
    root = tmp_path_factory.mktemp("noise")
    for row in range(16):
        path = root / f"place{row % 2}" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((48, 48), 30 + 60 * (row % 2)).convert("RGB").save(path)
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The name of a saved model whose training takes a second."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    model = lz.GlobalDescriptor("test_efficientnet", neck="fc-bn", embedding_dim=8)
    model.save_pretrained(folder)
    return f"local-dir:{folder}"


def test_every_setting_of_a_recipe_is_an_option_with_its_default():
    settings = {setting.name: setting for setting in fields(lz.finetuning.Recipe)}
    assert {*SETTINGS, "model", "model_args", "class_parallel"} == set(settings)
    for name, (kind, _, text) in SETTINGS.items():
        default = settings[name].default
        assert default is not MISSING
        assert re.search(
            rf"default: {re.escape(f'{default:g}' if kind is float else str(default))}\b", text
        ), name


@pytest.mark.parametrize("name", ["gem", pytest.param("dolg", marks=pytest.mark.slow)])
def test_a_command_of_the_guide_gains_and_saves(name, drawn, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("photos-to-train-on").symlink_to(drawn)
    command = next(c for c in COMMANDS if ("dolg" in c) == (name == "dolg") and "--model" not in c)
    code, out, err = run(capsys, *command, *LESS, "--set", "embedding_dim=27")  # as many as 28 photos fill
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith("mAP@100")).split()
    assert float(row[4]) > float(row[1])
    assert float(row[7]) == pytest.approx(float(row[4]) - float(row[1]), abs=0.0011)
    folder = Path(command[command.index("--out") + 1])
    assert lz.create_model(f"local-dir:{folder}").cfg.architecture == (
        "DOLG" if name == "dolg" else "GlobalDescriptor"
    )
    page = (folder / "training.html").read_text(encoding="utf-8")
    for title in ("loss", "mAP@100", "Before and after", "Confusions"):
        assert title in page
    assert "\n4 landmarks, 3 epochs: my-" in out
    for line in [line.strip() for line in out.splitlines() if line.startswith("  landmarkzoo ")]:
        for part in (
            line.replace("PHOTOS", f"'{drawn}/building 1'").replace("INDEX", "an-index").split(" && ")
        ):
            assert run(capsys, *shlex.split(part)[1:])[0] == 0, part
    assert len(lz.Index.open("an-index")) == 9


def test_the_same_command_prints_a_finished_training_again(noise, tiny, tmp_path, capsys):
    command = ["finetune", noise, "--out", tmp_path / "out", "--model", tiny, *TINY]
    code, first, err = run(capsys, *command)
    assert (code, err) == (0, "")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert run(capsys, *command) == (0, first, "")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    code, _, err = run(capsys, *command, "--seed", "1")
    assert (code, err.count("\n")) == (2, 1)
    assert "seed was 0, is 1" in err
    code, _, err = run(capsys, *command, "--resume", "no")
    assert code == 2
    assert "is not empty" in err
    command[3] = tmp_path / "other"
    code, _, err = run(capsys, *command, "--resume", "yes")
    assert code == 2
    assert "no training to go on with" in err


def test_other_validation_photos_and_photos_that_are_left_out(noise, tiny, tmp_path, capsys):
    (tmp_path / "more" / "place0").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.effect_noise((48, 48), 30).convert("RGB").save(tmp_path / "more" / "place0" / name)
    (tmp_path / "out.csv").write_text("id,reason\nplace0/2.png,duplicate\nplace1/5.png,other\n")
    command = ["finetune", noise, "--out", tmp_path / "out", "--model", tiny, *TINY]
    options = ["--validation", tmp_path / "more", "--exclude", tmp_path / "out.csv", "--patience", 1]
    code, out, err = run(capsys, *command, *options, "--set", "embedding_dim=8")
    assert (code, err) == (0, "")
    training = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert training["left_out"] == ["place0/2.png", "place1/5.png"]
    assert training["photos"] == 14
    assert sorted(training["validation_ids"]) == ["place0/a.png", "place0/b.png"]
    assert training["recipe"]["patience"] == 1
    command[3] = tmp_path / "unmeasured"
    code, out, err = run(capsys, *command, "--validation", 0)
    assert (code, err) == (0, "")
    assert out.startswith("no validation photos: nothing was measured\n2 landmarks, 3 epochs: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "gam"], "there is no recipe 'gam'"),
        (["--epochs", "0"], "epochs must be"),
        (["--validation", "1.5"], "between 0 and 1"),
        (
            ["--validation", "nowhere"],
            "--validation is a share of the photos, such as 0.25, or photos: no nowhere",
        ),
        (["--exclude", "nowhere.csv"], "nowhere.csv"),
        (["--model", "efficientnet_lite"], "efficientnet_lite0_gem"),
        (["--set", "embedding_dims=8"], "no argument 'embedding_dims'. Did you mean embedding_dim?"),
        (["--set", "backbone_args=3"], "--set: an argument, or the type of its value, is wrong"),
        (["--set", "embedding_dim"], "--set takes NAME=VALUE"),
        (["--trainable", "some"], "trainable must be"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(noise, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "finetune", noise, "--out", "out", *TINY, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not Path("out").exists()


def test_folders_that_cannot_be_trained_on_or_written(noise, tiny, tmp_path, capsys):
    lz.Index.create(tmp_path / "index")
    (tmp_path / "file").touch()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("precious")
    for photos, out, message in (
        (tmp_path / "nowhere", "out", "no such folder or file"),
        (noise, noise, "which is read"),
        (noise, tmp_path / "index" / "model", "is an index, whose files are its own"),
        (noise, tmp_path / "file", "it is a file"),
        (noise, tmp_path / "used", "used is not empty"),
        (noise / "place0", tmp_path / "out", "landmark"),
    ):
        code, _, err = run(capsys, "finetune", photos, "--out", out, "--model", tiny, *TINY)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["notes.txt"]


def start(*command):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    line = [sys.executable, "-m", "landmarkzoo", *map(str, command)]
    return subprocess.Popen(line, text=True, start_new_session=True, **pipes)


def wait_for(process, there):
    deadline = time.monotonic() + 300
    while not there():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), pytest.param(signal.SIGTERM, "terminated", marks=pytest.mark.slow)],
    ids=["INT", "TERM"],
)
def test_a_signal_says_what_is_saved_and_the_same_command_goes_on(
    number, word, noise, tiny, tmp_path, capsys
):
    out = tmp_path / "out"
    command = ["finetune", noise, "--out", out, "--model", tiny, *TINY, "--epochs", 20]
    process = start(*command)
    wait_for(process, (out / "checkpoint.pt").is_file)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=300)
    assert (process.returncode, printed) == (128 + number, "")
    place = torch.load(out / "checkpoint.pt", weights_only=True)["place"]
    within = f", batch {place['batch']}" if place["batch"] else ""
    where = f"after epoch {place['epoch']}{within}: saved in {out}; started again, it goes on there"
    assert errors == f"landmarkzoo: {word} {where}\n"
    code, printed, errors = run(capsys, *command)
    assert (code, errors) == (0, "")
    assert f"2 landmarks, 20 epochs: {out}\n" in printed
    assert not list(out.glob("checkpoint*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_stopped_before_the_first_epoch_leaves_nothing(noise, tmp_path):
    out = tmp_path / "new" / "out"
    process = start("finetune", noise, "--out", out, *TINY)
    wait_for(process, out.is_dir)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=300)
    assert (process.returncode, printed) == (130, "")
    assert errors == "landmarkzoo: interrupted before the first epoch: nothing is saved\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_under_torchrun_two_processes_train_and_one_prints(noise, tiny, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]
    command += ["landmarkzoo", "finetune", noise, "--out", tmp_path / "out", "--model", tiny, *TINY]
    done = subprocess.run(
        [*map(str, command), "--device", "cpu"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 landmarks, 3 epochs") == 1
    training = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert training["call"]["processes"] == 2
    assert load_file(tmp_path / "out" / "head.safetensors")
