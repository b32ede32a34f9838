"""Every architecture of the table trains and answers on both back ends, by every method, through the real entry.

Run: python -m pytest tests/integration/test_architectures.py

One process per back end takes all its runs (launch.isolate=false), so that what a library sets up once is paid once;
one benchmark of the oddest architecture runs in processes of its own.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
from conftest import FORKED, Ran, run_cli
from tiny_models import TINY

from ohlora.backends import LoadSpec
from ohlora.backends.hf import HFBackend
from ohlora.files import read_jsonl
from ohlora.models.architectures import ARCHITECTURES

# Several command lines in one process: argv holds the file of them; what each gave is written beside it.
DRIVER = """
import contextlib, io, json, pathlib, sys
from ohlora import run
asked = pathlib.Path(sys.argv[1])
given = []
for arguments in json.loads(asked.read_text()):
    sys.argv = ["ohlora", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run.main()
    given.append([code, out.getvalue(), err.getvalue()])
asked.with_suffix(".done").write_text(json.dumps(given))
"""
# What lies beside the weights of a model that transformers does not have; it leaves a trace where it was run.
OWN_CODE = """
import os, pathlib
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig

pathlib.Path(os.environ["OWN_CODE_RAN"]).touch()
"""
BACKENDS = ("hf", "unsloth")
QUICK = [
    "task=train", "trainer=smoke", "trainer.batch_size=2", "trainer.max_steps=2", "tracking=none", "model=local",
    "model.accept_license=true", "model.dtype=float32",
    "trainer.learning_rate=1e-2",
]  # fmt: skip
ACCUMULATED = "trainer.gradient_accumulation=2"  # two batches in a step, in which fast groups rows by length


def commands(backend: str, path: Callable[[str], Path], own: Path) -> dict[str, list[str]]:
    """Name of a command -> its arguments; each name is a study of its own."""
    some = f"model.path={path('gpt_neox')},{path('llama')}"
    every = ",".join(str(path(name)) for name in TINY)
    asked = {
        "architectures": ["-m", f"model.path={every}", "lora=r16"],
        "methods": ["-m", some, "lora=dora,rslora,qlora"],
        "speeds": ["-m", f"model.path={every}", "lora=r16", "trainer.speed=plain,fast", ACCUMULATED],
        "fast-methods": ["-m", some, "lora=dora,qlora", "trainer.speed=plain,fast", ACCUMULATED],
        "fast-16-bit": [
            "-m",
            f"model.path={path('rwkv')},{path('llama')}",
            "lora=r16,dora",
            "trainer.speed=plain,fast",
            "model.dtype=bfloat16",
        ],
        "compiled": [
            "-m",
            f"model.path={path('llama')},{path('rwkv')}",
            "lora=r16",
            "trainer.speed=fast",
            "trainer.compile=false,true",
        ],
        "dora-4-bit": ["-m", some, "lora=dora", "lora.quantization=nf4"],
        "rwkv-4-bit": [f"model.path={path('rwkv')}", "lora=qlora"],
        "attention": [f"model.path={path('rwkv')}", "model.attention=sdpa", "lora=r16"],
        "no-target": [f"model.path={path('gpt_neox')}", "lora.targets=[foo]"],
        "own-code": [f"model.path={own}", f"model.remote_code={own.name}", "lora.targets=[q_proj,v_proj]", "lora=r16"],
        "one-target": [f"model.path={path('rwkv')}", "lora.targets=[receptance,q_proj]"],
    }
    fixed = [*QUICK, f"backend={backend}", "launch.isolate=false"]

    def complete(name: str, these: list[str]) -> list[str]:
        given = {one.partition("=")[0] for one in these}
        return [*these, *(one for one in fixed if one.partition("=")[0] not in given), f"study={backend}-{name}"]

    return {name: complete(name, these) for name, these in asked.items()}


@pytest.fixture(scope="module")
def own_code(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose config.json names classes of a Python file beside it."""
    folder = tmp_path_factory.mktemp("own") / "own-llama"
    shutil.copytree(tiny_model("llama"), folder)
    described = json.loads((folder / "config.json").read_text()) | {
        "model_type": "own",
        "architectures": ["OwnForCausalLM"],
        "auto_map": {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "modeling_own.py").write_text(OWN_CODE)
    return folder


@pytest.fixture(scope="module")
def ran(
    tiny_model: Callable[[str], Path], own_code: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[tuple[str, str], Ran]]:
    """The working directory, and what each (back end, command) gave. Both back ends at once, a process each."""
    cwd = tmp_path_factory.mktemp("ran")
    asked = {backend: commands(backend, tiny_model, own_code) for backend in BACKENDS}
    (cwd / "several_runs.py").write_text(DRIVER)
    processes = {}
    for backend, lines in asked.items():
        file = cwd / f"{backend}.json"
        file.write_text(json.dumps(list(lines.values())))
        own = {"HF_MODULES_CACHE": str(cwd / f"{backend}-modules"), "OWN_CODE_RAN": str(cwd / f"{backend}-ran")}
        own |= {forked.KIND: backend, "UNSLOTH_COMPILE_LOCATION": str(cwd / f"{backend}-compiled")}
        processes[backend] = subprocess.Popen(
            [*FORKED, sys.executable, str(cwd / "several_runs.py"), str(file)],
            cwd=cwd, env={**os.environ, "HF_HUB_OFFLINE": "1", **own}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    given: dict[tuple[str, str], Ran] = {}
    for backend, process in processes.items():
        _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        done = json.loads((cwd / f"{backend}.done").read_text())
        given |= {(backend, name): Ran(*one) for name, one in zip(asked[backend], done, strict=True)}
    return cwd, given


def results(cwd: Path, study: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (cwd / "outputs" / study).glob("*/result.json")]


def loaded(run: dict[str, Any]) -> dict[str, Any]:
    """What was in effect when it trained."""
    assert run["status"] == "finished", run["reason"]
    return run["effective"]["train"]


def attempt(cwd: Path, study: str, result: dict[str, Any]) -> Path:
    return cwd / "outputs" / study / result["run_id"] / "attempt-1"


def both(cwd: Path, command: str, chosen: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The one run of each back end that is chosen."""
    found = [[run for run in results(cwd, f"{backend}-{command}") if chosen(run)] for backend in BACKENDS]
    assert [len(runs) for runs in found] == [1, 1]
    return [run for (run,) in found]


def assert_same_work(hf: dict[str, Any], unsloth: dict[str, Any]) -> None:
    for run in (hf, unsloth):
        assert run["status"] == "finished", run["reason"]
        assert len(run["parity"]["losses"]) == 2 and all(map(math.isfinite, run["parity"]["losses"]))
        assert run["hashes"]["adapter"] != run["hashes"]["adapter_init"]
    assert hf["effective"]["backend"] == "hf" and unsloth["effective"]["train"]["route"] == "unsloth-cpu"
    for key in ("tokens", "batches", "adapter_init"):
        assert hf["hashes"][key] == unsloth["hashes"][key], key
    for key in ("losses", "grad_norms"):
        assert unsloth["parity"][key] == pytest.approx(hf["parity"][key], rel=1e-3), key
    for key in ("eval/eval_loss", "train/train_tflop"):
        assert unsloth["metrics"][key] == pytest.approx(hf["metrics"][key], rel=1e-3), key


@pytest.mark.parametrize("name", TINY)
def test_an_architecture_trains_and_answers_alike(ran: tuple[Path, dict], name: str) -> None:
    cwd, _ = ran
    cls = f"{TINY[name][0]}ForCausalLM"
    hf, unsloth = both(cwd, "architectures", lambda run: loaded(run)["model_class"] == cls)
    assert_same_work(hf, unsloth)
    answers = []
    for backend, run in (("hf", hf), ("unsloth", unsloth)):
        assert run["effective"]["train"]["lora_method"] == "lora"
        folder = attempt(cwd, f"{backend}-architectures", run)
        adapted = json.loads((folder / "adapter" / "adapter_config.json").read_text())["target_modules"]
        assert sorted(adapted) == sorted(ARCHITECTURES[cls].targets)
        answers.append(read_jsonl(folder / "samples" / "train.jsonl"))
    assert answers[0] == answers[1] and len(answers[0]) == 1


def assert_same_updates(runs: list[dict[str, Any]]) -> None:
    """One run is plain, one fast: the same rows in each step, and the same losses and gradients in float32."""
    plain, fast = sorted(runs, key=lambda run: loaded(run)["trainer_class"].endswith("FastTrainer"))
    assert loaded(plain)["loss"] == "chunked_nll" and loaded(fast)["loss"] == "head_loss"
    assert loaded(plain)["trainer_class"] != loaded(fast)["trainer_class"]
    for key, closeness in (("losses", 1e-5), ("grad_norms", 1e-4)):
        assert fast["parity"][key] == pytest.approx(plain["parity"][key], rel=closeness), key
    for key, closeness in (("eval/eval_loss", 1e-5), ("train/train_loss", 1e-5), ("train/train_tflop", 1e-9)):
        assert fast["metrics"][key] == pytest.approx(plain["metrics"][key], rel=closeness), key
    assert fast["metrics"]["train/padding_ratio"] <= plain["metrics"]["train/padding_ratio"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TINY)
def test_fast_training_makes_the_same_updates(ran: tuple[Path, dict], name: str, backend: str) -> None:
    cls = f"{TINY[name][0]}ForCausalLM"
    runs = [run for run in results(ran[0], f"{backend}-speeds") if loaded(run)["model_class"] == cls]
    assert len(runs) == 2
    assert_same_updates(runs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cls", ["GPTNeoXForCausalLM", "LlamaForCausalLM"])
@pytest.mark.parametrize(("method", "quantization"), [("dora", "none"), ("lora", "nf4")])
def test_fast_training_knows_the_methods(
    ran: tuple[Path, dict], backend: str, cls: str, method: str, quantization: str
) -> None:
    def chosen(run: dict[str, Any]) -> bool:
        train = loaded(run)
        return (train["model_class"], train["lora_method"], train["quantization"]) == (cls, method, quantization)

    runs = [run for run in results(ran[0], f"{backend}-fast-methods") if chosen(run)]
    assert len(runs) == 2
    assert_same_updates(runs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cls", ["RwkvForCausalLM", "LlamaForCausalLM"])
@pytest.mark.parametrize("method", ["lora", "dora"])
def test_fast_training_in_16_bit(ran: tuple[Path, dict], backend: str, cls: str, method: str) -> None:
    """It answers afterwards, outside autocast, and stays within the noise of bfloat16."""
    runs = [
        run
        for run in results(ran[0], f"{backend}-fast-16-bit")
        if (loaded(run)["model_class"], loaded(run)["lora_method"]) == (cls, method)
    ]
    assert sorted(loaded(run)["loss"] for run in runs) == ["chunked_nll", "head_loss"]
    one, other = (run["parity"]["losses"] for run in runs)
    assert one == pytest.approx(other, rel=1e-2)
    for run in runs:
        assert loaded(run)["dtype"] == "bfloat16"
        assert len(read_jsonl(attempt(ran[0], f"{backend}-fast-16-bit", run) / "samples" / "train.jsonl")) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_layers_make_the_same_updates(ran: tuple[Path, dict], backend: str) -> None:
    """Only in the steps: evaluation and samples stay plain. What transformers does not compile is refused."""
    runs = results(ran[0], f"{backend}-compiled")
    plain, compiled = sorted(
        (run for run in runs if run["status"] == "finished" and loaded(run)["model_class"] == "LlamaForCausalLM"),
        key=lambda run: loaded(run)["layers_compiled"],
    )
    assert [loaded(run)["layers_compiled"] for run in (plain, compiled)] == [False, True]
    for key, closeness in (("losses", 1e-5), ("grad_norms", 1e-4)):
        assert compiled["parity"][key] == pytest.approx(plain["parity"][key], rel=closeness), key
    assert compiled["metrics"]["eval/eval_loss"] == pytest.approx(plain["metrics"]["eval/eval_loss"], rel=1e-5)
    assert not [patch for patch in loaded(compiled)["patches"] if patch not in loaded(plain)["patches"]]
    (refused,) = [run for run in runs if run["status"] != "finished"]
    assert refused["status"] == "unsupported" and "RwkvForCausalLM" in refused["reason"]["text"]


def test_the_sweeps_end_well(ran: tuple[Path, dict]) -> None:
    cwd, given = ran
    for backend in BACKENDS:
        for command, count in (("architectures", len(TINY)), ("methods", 6), ("dora-4-bit", 2)):
            assert given[backend, command].code == 0, given[backend, command].err
            assert len(results(cwd, f"{backend}-{command}")) == count


@pytest.mark.parametrize("cls", ["GPTNeoXForCausalLM", "LlamaForCausalLM"])
@pytest.mark.parametrize(
    ("command", "method", "quantization"),
    [
        ("methods", "dora", "none"),
        ("methods", "rslora", "none"),
        ("methods", "lora", "nf4"),
        ("dora-4-bit", "dora", "nf4"),
    ],
)
def test_a_method_trains_alike(ran: tuple[Path, dict], cls: str, command: str, method: str, quantization: str) -> None:
    def chosen(run: dict[str, Any]) -> bool:
        train = loaded(run)
        return (train["model_class"], train["lora_method"], train["quantization"]) == (cls, method, quantization)

    hf, unsloth = both(ran[0], command, chosen)
    assert_same_work(hf, unsloth)
    assert hf["requested"]["lora"]["method"] == unsloth["requested"]["lora"]["method"] == method


def test_methods_differ(ran: tuple[Path, dict]) -> None:
    """Equal numbers of two methods would mean that one of them was not in effect."""
    runs = [r for r in results(ran[0], "hf-methods") if loaded(r)["model_class"] == "LlamaForCausalLM"]
    assert len({run["metrics"]["eval/eval_loss"] for run in runs}) == len(runs) == 3


def test_a_quantised_output_layer_is_unsupported(ran: tuple[Path, dict]) -> None:
    """Unsloth on a CPU quantises RWKV's `head` too, which transformers leaves alone: not the same model."""
    cwd, given = ran
    assert given["hf", "rwkv-4-bit"].code == 0, given["hf", "rwkv-4-bit"].err
    refused = given["unsloth", "rwkv-4-bit"]
    (result,) = results(cwd, "unsloth-rwkv-4-bit")
    assert refused.code == 2 and "Traceback" not in refused.err
    assert (result["status"], result["reason"]["code"]) == ("unsupported", "quantization")
    assert result["reason"]["text"] == (
        "backend=unsloth cannot run RwkvForCausalLM as asked: lora.quantization=nf4; it quantised the output layer too"
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_library_refuses_is_unsupported(ran: tuple[Path, dict], backend: str) -> None:
    """RWKV has no attention to choose; the reason is the first sentence of what transformers says."""
    cwd, given = ran
    (result,) = results(cwd, f"{backend}-attention")
    assert given[backend, "attention"].code == 2 and "Traceback" not in given[backend, "attention"].err
    assert (result["status"], result["reason"]["code"]) == ("unsupported", "load_refused")
    reason = result["reason"]["text"]
    assert reason.startswith(f"backend={backend}: RwkvForCausalLM does not support an attention implementation")
    assert reason.count(". ") == 0 and reason.endswith(".")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "no-target",
            "lora.targets=[foo]: no such module in this model; it has dense, dense_4h_to_h, dense_h_to_4h, "
            "query_key_value",
        ),
        (
            "one-target",
            "lora.targets=[receptance,q_proj]: q_proj: no such module in this model; it has key, output, receptance, "
            "value",
        ),
    ],
)
def test_a_target_that_matches_nothing(ran: tuple[Path, dict], backend: str, command: str, said: str) -> None:
    one = ran[1][backend, command]
    assert one.code == 2 and "Traceback" not in one.err
    assert [line for line in (one.out + one.err).splitlines() if said in line]


def test_code_beside_the_weights_runs_where_it_is_asked_for(ran: tuple[Path, dict], own_code: Path) -> None:
    cwd, given = ran
    for backend in BACKENDS:
        assert given[backend, "own-code"].code == 0, given[backend, "own-code"].err
        assert (cwd / f"{backend}-ran").is_file()
    hf, unsloth = both(cwd, "own-code", lambda run: loaded(run)["model_class"] == "OwnForCausalLM")
    assert_same_work(hf, unsloth)


def test_code_beside_the_weights_does_not_run_unasked(
    own_code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the back end itself does, whatever was checked before."""
    monkeypatch.setenv("OWN_CODE_RAN", str(tmp_path / "ran"))
    with pytest.raises(ValueError, match="trust_remote_code|model type `own`"):
        HFBackend().load(LoadSpec(own_code, "infer", "cpu", "float32", "none", None, 64, "none", 1))
    assert not (tmp_path / "ran").exists()


def test_rwkv_in_processes_of_its_own(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """The whole benchmark as a user runs it: inference of the base model, then fine-tuning, on both back ends."""
    ran = run_cli(
        "-m", "backend=hf,unsloth", "task=benchmark", "study=s", "trainer=smoke", "tracking=none", "model=local",
        f"model.path={tiny_model('rwkv')}", "model.accept_license=true", "model.prompt_format=plain",
        "model.prompt_template='{prompt}\n'", "generation.prompts=2", "generation.max_new_tokens=6",
        "generation.min_new_tokens=6", "lora=r16", "model.dtype=float32", cwd=tmp_path,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    hf, unsloth = sorted(results(tmp_path, "s"), key=lambda run: run["effective"]["backend"])
    assert unsloth["parity"]["losses"] == pytest.approx(hf["parity"]["losses"], rel=1e-3)
    answers = [read_jsonl(attempt(tmp_path, "s", run) / "samples" / "infer.jsonl") for run in (hf, unsloth)]
    assert answers[0] == answers[1]
    assert hf["metrics"]["infer/generated_tokens"] == unsloth["metrics"]["infer/generated_tokens"] == 12
