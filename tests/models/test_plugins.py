"""Models of other packages: a real one, installed by pip into an environment of its own, and broken ones."""

import importlib
import re
import shutil
import subprocess
import sys
import threading
import venv
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo._utils import plugins

PACKAGE = Path(__file__).parent / "third_party"
CFG = lz.get_model_cfg("efficientnet_b3")

TRAIN = """
import sys, torch
import landmarkzoo as lz

assert "clocktower_models" not in sys.modules  # import landmarkzoo loads no plug-ins
model = lz.create_model("clock_tower").train()
assert type(model).__module__ == "clocktower_models"
head = lz.SubCenterArcFaceDynamic(model.embedding_dim, 3, margins=0.3)
groups = lz.parameter_groups(model, lr=0.01, head=head)
assert len({group["lr"] for group in groups}) == 3  # two layers and what stands behind them
optimizer = torch.optim.SGD(groups)
images, labels = torch.randn(6, 3, 64, 64), torch.tensor([0, 1, 2, 0, 1, 2])
before = [parameter.clone() for parameter in model.parameters()]
head(model(images), labels).backward()
optimizer.step()
assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters()))
model.eval().save_pretrained("saved", head, ["Elizabeth Tower", "Zytglogge", "Spasskaya"])
with torch.no_grad():
    torch.save((images, model(images)), "expected.pt")
"""

RELOAD = """
import torch
import landmarkzoo as lz

model = lz.create_model("local-dir:saved").eval()
images, expected = torch.load("expected.pt", weights_only=True)
with torch.no_grad():
    assert torch.equal(model(images), expected)
head, names = lz.load_head("local-dir:saved")
assert names[1] == "Zytglogge"
print(type(model).__name__, model.cfg.name, model.cfg.args["width"])
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The Python of a new environment that sees the packages of this one, and the package installed in it."""
    pytest.importorskip("pip", reason="an environment without pip")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "env")
    python = folder / "env" / "bin" / "python"
    site = next((folder / "env").glob("lib/python*/site-packages"))
    lines = [f"import site; site.addsitedir({path!r})" for path in sys.path if path.endswith("-packages")]
    (site / "packages_of_the_tests.pth").write_text("\n".join(lines) + "\n")
    shutil.copytree(PACKAGE, folder / "source")
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", folder / "source", cwd=folder)  # fmt: skip
    assert (site / "clocktower_models.py").is_file()
    return python


def run(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_package_brings_an_architecture_and_a_model(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(lz.__file__).parents[1]))
    listed = run(environment, "-m", "landmarkzoo", "models", "clock*", cwd=tmp_path)
    assert re.search(r"^clock_tower +ClockTower +its own +64 px +32 +none$", listed, re.MULTILINE)
    run(environment, "-c", TRAIN, cwd=tmp_path)
    assert run(environment, "-c", RELOAD, cwd=tmp_path).split() == ["ClockTower", "clock_tower", "8"]
    # Where the package is not installed, the error says what is missing and how to get it.
    with pytest.raises(
        ValueError, match=r"'ClockTower' is not registered; .*import the module that registers"
    ):
        lz.create_model(f"local-dir:{tmp_path / 'saved'}")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs packages of one module with an entry point each, and lets the plug-ins be loaded again."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_left", None)

    def install(name, code, entry_point):
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[landmarkzoo.models]\n{name} = {entry_point}\n")

    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


REGISTER = """
import landmarkzoo as lz
calls = []
def register():
    calls.append(lz.list_models())  # what asks the registry while it loads does not load again
    lz.register_model("from_{0}", lz.get_model_cfg("efficientnet_lite0_gem"))
"""


@pytest.mark.parametrize(
    ("code", "entry_point", "message"),
    [
        ("import no_such_module_at_all", "bad_plugin", "ModuleNotFoundError: No module named 'no_such"),
        ("def register():\n    raise KeyError('size')", "bad_plugin:register", "KeyError: 'size'"),
        ("cfg = 3", "bad_plugin:cfg", "a module, or a function that registers models"),
        ("", "bad_plugin:register", "AttributeError"),
        (
            "import landmarkzoo as lz\n"
            "lz.register_model('efficientnet_b3', lz.get_model_cfg('efficientnet_b6'))",
            "bad_plugin",
            "there is a model 'efficientnet_b3' already",
        ),
    ],
)
def test_a_broken_plugin_is_named_and_the_others_work(install, code, entry_point, message):
    install("bad_plugin", code, entry_point)
    install("good_plugin", REGISTER.format("good"), "good_plugin:register")
    with pytest.warns(UserWarning, match="bad_plugin") as warned:
        assert lz.is_model("from_good")
    assert len(warned) == 1
    text = str(warned[0].message)
    assert re.match(r"the landmarkzoo plug-in 'bad_plugin' of bad_plugin \(bad_plugin", text)
    assert message in text
    assert lz.list_models("from_*") == ["from_good"]  # no second warning
    assert lz.create_model("from_good", neck="none").cfg.name == "from_good"
    assert len(sys.modules["good_plugin"].calls) == 1


@pytest.mark.parametrize(
    "ask", [lz.list_models, lambda: lz.get_model_cfg("from_a"), lambda: lz.create_model("from_a")]
)
def test_plugins_are_loaded_when_the_registry_is_asked(install, ask):
    install("a", REGISTER.format("a"), "a:register")
    assert "a" not in sys.modules
    ask()
    assert len(sys.modules["a"].calls) == 1


def test_registering_by_hand_first_is_no_conflict(install):
    install("by_hand", REGISTER.format("hand"), "by_hand:register")
    import by_hand

    by_hand.register()
    assert lz.list_models("from_hand") == ["from_hand"]


def test_threads_wait_for_the_plugins(install):
    from concurrent.futures import ThreadPoolExecutor

    install("slow", "import time\ntime.sleep(0.3)\n" + REGISTER.format("slow"), "slow:register")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: lz.is_model("from_slow"), range(4))) == [True] * 4


@pytest.mark.parametrize("first", ["lz.list_models()", "lz.get_model_cfg('efficientnet_b3')"])
def test_a_module_that_is_imported_by_hand_keeps_its_function(install, first, recwarn):
    """Its function is not there yet when the module asks the registry at its top."""
    code = f"import landmarkzoo as lz\n{first}\n" + REGISTER.format("top")
    install("top_asks", code, "top_asks:register")
    import top_asks

    assert lz.is_model("from_top")
    assert len(top_asks.calls) == 1
    assert not recwarn.list


def test_imports_in_other_threads_end(install):
    """One thread loads the plug-ins, others import their modules, which ask the registry."""
    names = [f"crossed_{i}" for i in range(4)]
    for name in names:
        code = "import time\nimport landmarkzoo as lz\ntime.sleep(0.2)\nlz.list_models()\n"
        install(name, code + REGISTER.format(name), f"{name}:register")
    ask = [lz.list_models, *(partial(importlib.import_module, name) for name in reversed(names))]
    threads = [threading.Thread(target=call, daemon=True) for call in ask]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert len(lz.list_models("from_crossed_*")) == 4


def test_a_saved_model_finds_its_architecture_among_the_plugins(install, tmp_path):
    code = (PACKAGE / "clocktower_models.py").read_text()
    install("towers", code, "towers")
    model = lz.create_model("clock_tower").eval()
    model.save_pretrained(tmp_path / "saved")
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(lz.create_model(tmp_path / "saved").eval()(x), model(x))


def test_a_name_of_ones_own_takes_nothing_from_a_plugin(install):
    register = "import landmarkzoo as lz\nfor name in ('efficientnet_b3', 'from_pair'):\n"
    install("pair", register + "    lz.register_model(name, lz.get_model_cfg('efficientnet_b6'))", "pair")
    left_out = r"plug-in 'pair' of pair \(pair\): its model 'efficientnet_b3' is left out, there is a model"
    cfg = replace(CFG, license="mine")
    with (
        pytest.warns(UserWarning, match=left_out) as warned,  # registering asks the plug-ins first
        pytest.raises(ValueError, match="there is a model 'from_pair' already: use another name"),
    ):
        lz.register_model("from_pair", cfg)
    assert len(warned) == 1
    assert lz.list_models("from_*") == ["from_pair"]
    with pytest.raises(ValueError, match="there is a model"):  # after that, a clash is an error again
        lz.register_model("from_pair", lz.get_model_cfg("efficientnet_b3"))
