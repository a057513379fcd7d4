"""A push is one commit, with all that belongs to the model and nothing of an earlier one."""

import json

import hub_client
import numpy as np
import pytest

import landmarkzoo as lz

SCORES = (lz.Score("mAP@100", 0.5, "own photos | test split"),)


def card(hub, repo="org/new", branch="main"):
    return hub.repos[repo].files(branch)["README.md"].decode()


def test_push_and_load_bit_for_bit(hub, push, load, load_head, pushed):
    url = push("org/new")
    repo = hub.repos["org/new"]
    assert url == f"{hub.url}/org/new/commit/{repo.refs['main']}"
    assert len(repo.commits) == 2  # that of its creation, and ours
    assert set(repo.files()) - {".gitattributes"} == {*pushed.files, "README.md"}
    assert repo.files()["model.safetensors"] == pushed.files["model.safetensors"]
    loaded = load("hf-hub:org/new")
    assert loaded.cfg == pushed.cfg
    assert np.array_equal(loaded.output, pushed.output)
    centers, names = load_head("hf-hub:org/new")
    assert np.array_equal(centers, pushed.centers)
    assert names == pushed.names


def test_any_head_is_pushed(hub, call, load_head, tmp_path):
    model = lz.create_model("efficientnet_lite0_gem", backbone="test_efficientnet", embedding_dim=16)
    head = lz.losses.CosFace(16, 3, margin=0.2)
    model.save_pretrained(tmp_path, head, ["a", "b", "c"])
    call(hub_client.push, tmp_path, "org/new", token="good-token")
    centers, names = load_head("hf-hub:org/new")
    assert np.array_equal(centers, head.weight.detach().numpy())
    assert names == ["a", "b", "c"]


def test_a_stale_head_goes_in_the_same_commit(hub, push, load_head):
    push("org/new")
    push("org/new", with_names=False)
    repo = hub.repos["org/new"]
    assert {"head.safetensors"} == {"head.safetensors", "classes.json"} & set(repo.files())
    repo.commit({"notes.md": b"of the user", "card.png": b"of the user"})
    push("org/new", with_head=False)
    assert len(repo.commits) == 5
    assert set(repo.files()) == {".gitattributes", "README.md", "config.json", "model.safetensors"} | {
        "notes.md",
        "card.png",
    }
    assert "load_head" not in card(hub)
    with pytest.raises(FileNotFoundError, match="pushed without a head"):
        load_head("hf-hub:org/new")


def test_arguments_reach_the_hub(hub, push, load):
    push("org/new", private=True, commit_message="First of its kind")
    repo = hub.repos["org/new"]
    assert repo.private
    assert repo.messages[-1] == "First of its kind"
    main = repo.refs["main"]
    push("org/new", revision="v2")
    assert repo.messages[-1] == "Push GlobalDescriptor with landmarkzoo"
    assert repo.refs["main"] == main != repo.refs["v2"]
    assert 'create_model("hf-hub:org/new@v2")' in card(hub, branch="v2")
    push("org/new", revision="v2")  # the branch is there now
    assert repo.refs["main"] == main
    url = push("org/new", create_pr=True)
    assert url == f"{hub.url}/org/new/discussions/1"
    assert repo.refs["main"] == main
    assert {request.token for request in hub.requests} == {"good-token"}
    load("hf-hub:org/new@v2", token="good-token")


def test_scores_and_licence_as_given_and_nothing_assumed(hub, push, load):
    push("org/new")
    assert "license" not in card(hub).split("---")[1]
    assert "No licence is stated for these weights." in card(hub)
    assert "No scores are stated for these weights." in card(hub)
    push("org/new", scores=SCORES, license="CC-BY-4.0", training_data="Google Landmarks v2 clean")
    assert "license: cc-by-4.0" in card(hub).splitlines()
    assert r"| mAP@100 | 0.5 | own photos \| test split |" in card(hub).splitlines()
    cfg = load("hf-hub:org/new").cfg
    assert (cfg.scores, cfg.license, cfg.training_data) == (SCORES, "CC-BY-4.0", "Google Landmarks v2 clean")
    push("org/new", license="Our Own Licence, 2nd", with_head=False)
    assert card(hub).splitlines()[3:5] == ["license: other", 'license_name: "our-own-licence-2nd"']


def test_a_card_of_the_user_can_stay(hub, push):
    push("org/new")
    hub.repos["org/new"].commit({"README.md": b"mine"})
    push("org/new", card=False)
    assert card(hub) == "mine"


def test_what_is_refused(hub, push, pushed):
    with pytest.raises(
        PermissionError, match=r"hf-hub:strangers/model: http.*refuses the token, .* with a token that"
    ):
        push("strangers/model")
    with pytest.raises(PermissionError, match="Invalid credentials"):
        push("org/new", token="bad-token")
    with pytest.raises(PermissionError, match=r"or log in with 'hf auth login'"):
        push("org/new", token=False)
    for name in ("hf-hub:org/new", "org/new@v1"):
        with pytest.raises(
            ValueError, match=r"push_to_hub takes 'org/repo', and the branch as revision=\.\.\."
        ):
            push(name)
    with pytest.raises(ValueError, match="cannot be a repository"):
        push("a/b/c")
    with pytest.raises(TypeError, match=r"scores are lz.Score\(metric, value, protocol\), got 0.5"):
        push("org/new", scores=[0.5])
    assert set(hub.repos) == {"org/model"}


def test_a_dead_hub(hub, push):
    hub.stop()
    try:
        with pytest.raises(ConnectionError, match="hf-hub:org/new: no connection to http"):
            push("org/new")
    finally:
        hub.start()


def test_the_folder_stays_as_it_was(pushed):
    assert "README.md" not in pushed.files
    assert json.loads(pushed.files["config.json"])["format"] == "landmarkzoo.model.v1"
    assert hub_client.load(f"local-dir:{pushed.folder}").cfg == pushed.cfg


def test_a_stale_head_goes_from_its_branch(hub, push):
    push("org/new")
    push("org/new", revision="v2")
    repo = hub.repos["org/new"]
    push("org/new", with_head=False)  # main has no head any more, the branch still has one
    push("org/new", revision="v2", with_head=False)
    assert "head.safetensors" not in repo.files("v2")
    assert "classes.json" not in repo.files("v2")


def test_a_repository_needs_its_owner(hub, push):
    with pytest.raises(ValueError, match="'model' has no owner: push_to_hub takes 'org/repo' or 'user/repo'"):
        push("model")
    assert list(hub.repos) == ["org/model"]
