"""Adapters out of a hub: for the right base, under terms that were accepted, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ran, run_cli
from hub_server import Hub, Repo, serving

from ohlora.models.acceptance import REMEMBERED
from ohlora.models.folder import MARKER, is_prepared

NAME = "maker/tiny"


@pytest.fixture(scope="module")
def adapter(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A published LoRA adapter of the tiny llama, as peft writes it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(model, config).save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    described = {**json.loads(files["adapter_config.json"]), "base_model_name_or_path": NAME}
    return {**files, "adapter_config.json": json.dumps(described).encode(), "NOTICE": b"n", "optimizer.pt": b"x"}


def test_a_published_adapter(tmp_path: Path, tiny_model: Callable[[str], Path], adapter: dict[str, bytes]) -> None:
    ask = ("task=infer", "model=local", f"model.path={tiny_model('llama')}", "tracking=none", "generation.prompts=1")
    ask = (*ask, f"model.repo={NAME}", "generation.max_new_tokens=3", "adapter=hub:maker/lora", "hydra.run.dir=run")
    with serving(maker__lora=Repo(adapter)) as hub:
        ran = run_cli(*ask, cwd=tmp_path, env=hub.env)
        assert ran.code == 0, ran.err
        assert "note: adapter=hub:maker/lora: no licence known; look it up before you use it" in ran.err
        folder = tmp_path / "models" / "adapters" / "maker" / "lora"
        assert is_prepared(folder) and {path.name for path in folder.iterdir()} == set(adapter) - {"optimizer.pt"} | {
            MARKER
        }
        first = json.loads((tmp_path / "run" / "result.json").read_text())
    ran = run_cli(*ask, cwd=tmp_path)  # without a hub
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["run_id"] == first["run_id"]
    ran = run_cli(*ask, "model.repo=maker/other", cwd=tmp_path)
    assert ran.code == 0 and "was trained on maker/tiny, and its layers fit maker/other too" in ran.err, ran.err


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        ({"adapter_config.json", "adapter_model.bin"}, "hub:maker/lora", "has pickled weights (adapter_model.bin)"),
        ({"config.json", "model.safetensors"}, "hub:maker/lora", "is a whole model, not an adapter"),
        (set(), "hub:maker/lora@v2", "adapter=hub:maker/lora@v2: maker/lora has no such branch, tag or commit"),
        (set(), "hub:lora", "adapter=hub:lora: must be hub:<owner>/<name>"),
    ],
)
def test_adapters_that_are_refused(
    tmp_path: Path, tiny_model: Callable[[str], Path], names: set[str], asked: str, said: str
) -> None:
    files = dict.fromkeys(names, b'{"base_model_name_or_path": "other/base"}')
    with serving(maker__lora=Repo(files)) as hub:
        where = ("model=local", f"model.path={tiny_model('llama')}", f"model.repo={NAME}", "tracking=none")
        ran = run_cli("task=infer", *where, f"adapter={asked}", cwd=tmp_path, env=hub.env)
        assert "adapter_model.safetensors" not in hub.fetched
    assert ran.code == 2 and said in ran.err and "Traceback" not in ran.err, ran.err
    kept = tmp_path / "models" / "adapters" / "maker"
    assert not kept.exists() or all(path.suffix == ".lock" for path in kept.iterdir())


def test_one_of_another_size_is_refused_with_both(
    tmp_path: Path, tiny_model: Callable[[str], Path], adapter: dict[str, bytes]
) -> None:
    import numpy
    from safetensors.numpy import save

    module = "base_model.model.model.layers.0.self_attn.q_proj"
    sizes = {f"{module}.lora_A.weight": (4, 96), f"{module}.lora_B.weight": (64, 4)}
    other = save({name: numpy.zeros(size, "float32") for name, size in sizes.items()})
    with serving(maker__lora=Repo({**adapter, "adapter_model.safetensors": other})) as hub:
        said = error_of(asked(tmp_path, hub, tiny_model("llama")))
    assert "model.layers.0.self_attn.q_proj is 96 → 64 in the adapter and 64 → 64 in the model" in said
    assert f"its base model is {NAME}: choose that one" in said
    assert not (tmp_path / "models" / "adapters" / "maker" / "lora").exists()


def asked(cwd: Path, hub: Hub, base: Path, *more: str) -> Ran:
    """A short run with the adapter, by somebody who has accepted nothing yet."""
    where = ("model=local", f"model.path={base}", f"model.repo={NAME}", "adapter=hub:maker/lora", "tracking=none")
    few = ("generation.prompts=1", "generation.max_new_tokens=3")
    return run_cli("task=infer", *where, *few, *more, cwd=cwd, env=hub.env, accepting=False)


def error_of(ran: Ran) -> str:
    """Its one line."""
    assert ran.code == 2 and "Traceback" not in ran.err, ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("card", "more", "title", "tag"),
    [
        (b"---\nlicense: gemma\n---\n", (), "Gemma Terms of Use", "gemma"),
        (
            b"---\nlicense:\n- cc-by-nc-4.0\n---\n",
            ("model.accept_license=gemma",),
            "Creative Commons BY-NC 4.0",
            "cc-by-nc-4.0",
        ),
    ],
)
def test_its_terms_are_asked_for_before_its_weights_come(
    tmp_path: Path,
    tiny_model: Callable[[str], Path],
    adapter: dict[str, bytes],
    card: bytes,
    more: tuple[str, ...],
    title: str,
    tag: str,
) -> None:
    with serving(maker__lora=Repo({**adapter, "README.md": card})) as hub:
        said = error_of(asked(tmp_path, hub, tiny_model("llama"), *more))
        assert "adapter_model.safetensors" not in hub.fetched
    assert f"adapter=hub:maker/lora: is under the {title}, which was not accepted here" in said
    assert f"add model.accept_license={tag} (with make" in said
    assert not (tmp_path / "models" / "adapters" / "maker" / "lora").exists()


def test_its_terms_are_accepted_by_their_name(
    tmp_path: Path, tiny_model: Callable[[str], Path], adapter: dict[str, bytes]
) -> None:
    with serving(maker__lora=Repo({**adapter, "README.md": b"---\nlicense: cc-by-nc-4.0\n---\n"})) as hub:
        ran = asked(tmp_path, hub, tiny_model("llama"), "model.accept_license=cc-by-nc-4.0")
    assert ran.code == 0 and is_prepared(tmp_path / "models" / "adapters" / "maker" / "lora"), ran.err
    assert "cc-by-nc-4.0" in json.loads((tmp_path / "models" / REMEMBERED).read_text())


def test_an_adapter_put_there_by_hand_stays(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    own = tmp_path / "models" / "adapters" / "maker" / "lora" / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with serving(maker__lora=Repo({})) as hub:
        said = error_of(asked(tmp_path, hub, tiny_model("llama")))
    assert f"adapter=hub:maker/lora: {own.parent} exists but was not made by this program" in said
    assert own.read_text() == "mine"
