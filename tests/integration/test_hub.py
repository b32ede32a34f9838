"""Models out of a hub, over real HTTP: whole or not at all, going on after a kill, one line for each way to fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
from conftest import FORKED, PREFIX, run_cli, started
from hub_server import Hub, Repo, serving

from ohlora.models.folder import MARKER, is_prepared

NAME = "maker/tiny"
ARGUMENTS = ("task=prepare", "model=hub", f"model.repo={NAME}")
CARD = b"---\nlicense: apache-2.0\n---\n# Tiny\n"
MIB = 1 << 20


def files_of(folder: Path, **others: bytes) -> dict[str, bytes]:
    """A folder as a repository, with its card and things that no run needs."""
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    unneeded = {".gitattributes": b"*", "onnx/model.onnx": b"x", "training_args.bin": b"x", "extra.py": b"1"}
    unneeded["trainer_state.json"] = b"{}"
    return {**held, "README.md": CARD, "LICENSE": b"Apache", **unneeded, **others}


def without(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name not in names}


def changed(data: bytes, **keys: object) -> bytes:
    return json.dumps({**json.loads(data), **keys}).encode()


def as_pickle(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same repository with pickled weights, embeddings and output sharing memory."""
    import io

    import torch
    from safetensors.torch import load

    tensors = load(files["model.safetensors"])
    tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    held = io.BytesIO()
    torch.save(tensors, held)
    return {**without(files, "model.safetensors"), "pytorch_model.bin": held.getvalue()}


@pytest.fixture(scope="module")
def large(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model of 50 MiB, large enough to be caught in the middle."""
    import shutil

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("large") / "model"
    shutil.copytree(tiny_model("llama"), folder)
    sizes = {"vocab_size": 264, "hidden_size": 512, "intermediate_size": 8192, "num_hidden_layers": 1}
    config = LlamaConfig(**sizes, num_attention_heads=4, bos_token_id=2, eos_token_id=1, pad_token_id=0)
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    return files_of(folder)


def prepared(cwd: Path, hub: Hub, *more: str, **env: str):
    return run_cli(*ARGUMENTS, *more, cwd=cwd, env={**hub.env, **env}, accepting=False)


def folder_of(cwd: Path) -> Path:
    return cwd / "models" / NAME


def left(cwd: Path) -> set[str]:
    """What there is of the model, the lock aside."""
    return {path.name for path in folder_of(cwd).parent.iterdir()} - {".tiny.lock"}


def test_only_what_is_needed_and_pinned(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    repo = Repo(files_of(tiny_model("llama")), branches=("main", "v1"))
    with serving(maker__tiny=repo) as hub:
        ran = prepared(tmp_path, hub, "model.revision=v1", HF_TOKEN="secret")
        assert ran.code == 0, ran.err
        assert hub.tokens == {"secret"}
    folder = folder_of(tmp_path)
    assert is_prepared(folder) and left(tmp_path) == {"tiny"}
    marker = json.loads((folder / MARKER).read_text())
    assert (marker["revision"], marker["asked_revision"], marker["licence"]) == ("c" * 40, "v1", "apache-2.0")
    assert {path.name for path in folder.iterdir()} == set(repo.files) - {
        ".gitattributes", "onnx/model.onnx", "training_args.bin", "extra.py", "trainer_state.json"
    } | {MARKER}  # fmt: skip
    assert "secret" not in "".join(p.read_text("utf-8", "replace") for p in tmp_path.rglob("*") if p.is_file())
    with serving() as hub:  # nothing is asked when it is there
        assert prepared(tmp_path, hub, "model.revision=v1").code == 0


def test_a_kill_in_the_middle_and_a_cut_connection(tmp_path: Path, large: dict[str, bytes]) -> None:
    with serving(maker__tiny=Repo(large)) as hub:
        hub.pause_s = 0.05
        command = [sys.executable, "-m", "ohlora.run", *ARGUMENTS, PREFIX]
        with pytest.MonkeyPatch.context() as patch:
            for key, value in hub.env.items():
                patch.setenv(key, value)
            with started(*command, cwd=tmp_path) as process:
                wait_for(lambda: hub.sent >= 25 * MIB)
                process.send_signal(signal.SIGKILL)
        time.sleep(0.5)  # the orphan has gone by now and with it its lock
        assert left(tmp_path) == {".tiny.partial"} and not folder_of(tmp_path).exists()
        begun = max(path.stat().st_size for path in (folder_of(tmp_path).parent / ".tiny.partial").iterdir())
        assert 10 * MIB <= begun < len(large["model.safetensors"])
        hub.sent, hub.cut, hub.pause_s = 0, 12 * MIB, 0.0
        ran = prepared(tmp_path, hub)
        assert ran.code == 0, ran.err
        starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in hub.ranges]
        assert starts[0] == begun and starts[1] >= begun + 10 * MIB
        assert hub.sent < len(large["model.safetensors"]) - begun + 4 * MIB
        total = sum(path.stat().st_size for path in folder_of(tmp_path).iterdir() if path.name != MARKER) // MIB
        assert f"downloading maker/tiny at cccccccccccc ({total} MiB)" in ran.err and f" {total}/{total}" in ran.err
    assert (folder_of(tmp_path) / "model.safetensors").read_bytes() == large["model.safetensors"]
    assert is_prepared(folder_of(tmp_path)) and left(tmp_path) == {"tiny"}


def test_a_damaged_download_is_taken_anew(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    repo = Repo(files_of(tiny_model("llama")))
    good = repo.files["model.safetensors"]
    repo.served["model.safetensors"] = good[:-1] + bytes([good[-1] ^ 1])
    with serving(maker__tiny=repo) as hub:
        ran = prepared(tmp_path, hub)
        assert ran.code == 2 and "model.safetensors is damaged" in ran.err and not folder_of(tmp_path).exists()
        repo.served.clear()
        assert prepared(tmp_path, hub).code == 0
    assert is_prepared(folder_of(tmp_path))


def test_gone_halfway_goes_on(tmp_path: Path, large: dict[str, bytes]) -> None:
    """A hub that dies under a download, for longer than huggingface_hub tries again."""
    with serving(maker__tiny=Repo(large, served={"model.safetensors": large["model.safetensors"][: 20 * MIB]})) as hub:
        ran = prepared(tmp_path, hub)
        assert ran.code == 2 and "run the command again to resume" in ran.err, ran.err
    with serving(maker__tiny=Repo(large)) as hub:
        assert prepared(tmp_path, hub).code == 0
        assert hub.ranges == [f"bytes={20 * MIB}-"]


def test_pickles_only_where_asked_for(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    repo = Repo(as_pickle(files_of(tiny_model("gemma2"))))
    with serving(maker__tiny=repo) as hub:
        asked = ("model.license=gemma", "model.accept_license=true")
        ran = prepared(tmp_path, hub, *asked)
        assert ran.code == 2 and "add model.weights=bin" in ran.err and "can run code" in ran.err
        assert left(tmp_path) == set()
        ran = prepared(tmp_path, hub, *asked, "model.weights=bin")
        assert ran.code == 0, ran.err
    folder = folder_of(tmp_path)
    assert is_prepared(folder) and not list(folder.glob("*.bin"))
    from safetensors.torch import load_file

    original = load_file(tiny_model("gemma2") / "model.safetensors")
    rewritten = load_file(folder / "model.safetensors")
    assert rewritten.keys() == original.keys() and all((rewritten[k] == original[k]).all() for k in original)


def test_a_pickle_that_holds_more_than_tensors_never_runs(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    import pickle

    proof = tmp_path / "it-ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(proof), "w"))

    files = without(files_of(tiny_model("llama")), "model.safetensors")
    with serving(maker__tiny=Repo({**files, "pytorch_model.bin": pickle.dumps({"w": Evil()}, protocol=2)})) as hub:
        ran = prepared(tmp_path, hub, "model.weights=bin")
    assert ran.code == 2 and "pytorch_model.bin contains more than tensors and is refused" in ran.err, ran.err
    assert not proof.exists() and left(tmp_path) == set()


def test_remote_code_is_allowed_by_name(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    files = files_of(tiny_model("llama"))
    own = {"AutoConfig": "own_code.OwnConfig", "AutoModelForCausalLM": "own_code.OwnModel"}
    code = (
        b"from transformers import LlamaConfig\nclass OwnConfig(LlamaConfig):\n    model_type='own'\n"
        b"from .blocks import Base\nclass OwnModel(Base):\n    config_class = OwnConfig\n"
    )
    files |= {"config.json": changed(files["config.json"], auto_map=own, model_type="own"), "own_code.py": code}
    files |= {"blocks.py": b"from transformers import LlamaForCausalLM as Base\n", "onnx/export.py": b"1"}
    repo = Repo(files)
    with serving(maker__tiny=repo) as hub:
        ran = prepared(tmp_path, hub)
        assert ran.code == 2 and "needs Python code of its author (own_code.py)" in ran.err
        assert "with your permissions" in ran.err and f"model.remote_code={NAME}" in ran.err
        assert not {"own_code.py", "blocks.py", "model.safetensors"} & set(hub.fetched) and left(tmp_path) == set()
        ran = prepared(tmp_path, hub, "model.remote_code=other/model")
        assert ran.code == 2 and f"but this model is {NAME}" in ran.err
        ran = prepared(tmp_path, hub, f"model.remote_code={NAME}", HF_MODULES_CACHE=str(tmp_path / "modules"))
        assert ran.code == 0, ran.err
    code_there = {path.name for path in folder_of(tmp_path).rglob("*.py")}
    assert code_there == {"own_code.py", "blocks.py", "extra.py"}  # what the named file imports lies beside it
    script = tmp_path / "load.py"
    load = "from transformers import AutoModelForCausalLM as A; A.from_pretrained('.', trust_remote_code=True)"
    script.write_text(load)
    own = {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1", forked.KIND: "hf"}
    command = [*FORKED, sys.executable, str(script)]
    subprocess.run(command, cwd=folder_of(tmp_path), env={**os.environ, **own}, check=True)
    ran = run_cli("task=infer", *ARGUMENTS[1:], cwd=tmp_path)  # what was allowed once is not allowed for ever
    assert ran.code == 2 and "needs Python code of its author" in ran.err


def cut_file(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "model.safetensors": files["model.safetensors"][:-100]}


def without_eos(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "tokenizer_config.json": changed(files["tokenizer_config.json"], eos_token=None)}


@pytest.mark.parametrize(
    ("broken", "more", "said"),
    [
        (cut_file, (), "the file is truncated"),
        (without_eos, (), "its tokenizer has no EOS token"),
        (lambda f: without(f, "model.safetensors"), (), "has no weights (model.safetensors or"),
        (lambda f: without(f, "config.json"), (), "config.json is missing"),
        (lambda f: without(f, "tokenizer.json"), (), "has neither tokenizer.json nor tokenizer.model"),
        (lambda f: f, ("model.architecture=Qwen2ForCausalLM",), "contains LlamaForCausalLM, but this model option"),
        (lambda f: f, ("model.license=mit",), "says apache-2.0; give model.license=apache-2.0, or leave it out"),
        (lambda f: {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, (), "is an adapter; choose"),
        (
            lambda f: {**f, "README.md": b"---\nlicense: gemma\n---\n"},
            (),
            "add model.accept_license=gemma",
        ),
        (lambda f: f, ("model.revision=v9",), "model.revision=v9: maker/tiny has no such branch, tag or commit"),
        (lambda f: f, ("model.repo=maker/other",), "model.repo=maker/other: no such repository, or it is private"),
    ],
)
def test_refused_in_one_line(
    tmp_path: Path, tiny_model: Callable[[str], Path], broken: Callable, more: tuple[str, ...], said: str
) -> None:
    with serving(maker__tiny=Repo(broken(files_of(tiny_model("llama"))))) as hub:
        ran = prepared(tmp_path, hub, *more)
        assert "model.safetensors" not in hub.fetched or broken is cut_file
    assert ran.code == 2 and "Traceback" not in ran.err
    assert len([line for line in ran.err.splitlines() if said in line and line.startswith("error: ")]) == 1, ran.err
    assert left(tmp_path) - {".other.lock"} == set()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("model.license=apache-2.0",), "belongs to a class under gemma, which also covers derived models"),
        ((), "maker/tiny is under the Gemma Terms of Use, which was not accepted here"),
        (("model.license=gemma", "model.accept_license=false"), "add model.accept_license=gemma"),
    ],
)
def test_a_class_is_under_its_licence_whatever_option_and_card_say(
    tmp_path: Path, tiny_model: Callable[[str], Path], more: tuple[str, ...], said: str
) -> None:
    with serving(maker__tiny=Repo(files_of(tiny_model("gemma2")))) as hub:
        ran = prepared(tmp_path, hub, *more)
        assert "model.safetensors" not in hub.fetched
    assert ran.code == 2 and ran.err.count("error: ") == 1 and said in ran.err and "Traceback" not in ran.err, ran.err


@pytest.mark.parametrize(
    ("card", "note"),
    [
        (CARD, None),
        (b"---\nlicense: openrail\n---\n", "model.repo=maker/tiny: no licence known (its card says openrail); look"),
        (b"# no head", "note: model.repo=maker/tiny: no licence known; look it up"),
    ],
)
def test_a_licence_is_called_unknown_once_its_card_was_read(
    tmp_path: Path, tiny_model: Callable[[str], Path], card: bytes, note: str | None
) -> None:
    with serving(maker__tiny=Repo(files_of(tiny_model("llama"), **{"README.md": card}))) as hub:
        ran = prepared(tmp_path, hub)
    assert ran.code == 0 and "Look it up" not in ran.err, ran.err
    assert note in ran.err if note else "no licence known" not in ran.err
    marked = json.loads((folder_of(tmp_path) / MARKER).read_text())["licence"]
    assert marked == ("unknown" if note else "apache-2.0")


def test_gated(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    with serving(maker__tiny=Repo(files_of(tiny_model("llama")), access=("member",))) as hub:
        ran = prepared(tmp_path, hub)
        assert ran.code == 2 and "HF_TOKEN is not set; accept them on the repository's page" in ran.err, ran.err
        ran = prepared(tmp_path, hub, HF_TOKEN="guest")
        assert ran.code == 2 and "the account of HF_TOKEN has no access yet" in ran.err
        assert left(tmp_path) == set()
        assert prepared(tmp_path, hub, HF_TOKEN="member").code == 0


def test_no_room(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    repo = Repo(files_of(tiny_model("llama")), claims={"model.safetensors": 10**15})
    with serving(maker__tiny=repo) as hub:
        ran = prepared(tmp_path, hub)
        assert "model.safetensors" not in hub.fetched
    assert ran.code == 2 and "needs 953,674,316 MiB, and" in ran.err and "MiB are free" in ran.err


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
