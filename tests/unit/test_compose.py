"""Every option of every group composes and is valid; bad input is said in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import composition
import hydra
import pytest
from omegaconf import OmegaConf

from ohlora.config.compose import compose_config
from ohlora.config.paths import conf_dir, groups, options
from ohlora.config.schema import Config
from ohlora.errors import UserError
from ohlora.planning.plan import to_plain
from ohlora.planning.validate import validate

pytestmark = pytest.mark.usefixtures("hydra_itself")
GROUPS = groups()
NEEDS = {
    "data=csv": ["data.path=x.csv"],
    "data=jsonl": ["data.path=x.jsonl"],
    "data=file": ["data.path=x.csv"],
    "data=hub": ["data.repo=owner/name"],
    "decoding=sample": ["task=infer", "generation=natural"],
    "decoding=beam": ["task=infer", "generation=natural"],
    "lora=none": ["task=infer"],
    "task=judge": ["adapter=x"],
    "model=hub": ["model.repo=owner/name"],
    "model=local": ["model.path=x"],
}
NAMED_AFTER = {"model=hub": "owner/name"}  # an option that stands for any model


@pytest.mark.parametrize("choice", [f"{group}={option}" for group in GROUPS for option in options(group)])
def test_every_option_composes(choice: str) -> None:
    config = validate(compose_config([choice, *NEEDS.get(choice, [])]))
    group, option = choice.split("=")
    if group not in ("experiment", "lora"):
        assert getattr(config, group).name == NAMED_AFTER.get(choice, option)


def test_every_preset_shows_its_command() -> None:
    for path in (conf_dir() / "experiment").glob("*.yaml"):
        lines = path.read_text("utf-8").splitlines()
        assert lines[0] == "# @package _global_"
        assert re.match(rf"# python -m ohlora\.run (-m )?experiment={path.stem}\b", lines[1])


def test_schema_has_a_field_for_every_group() -> None:
    groups = {item.name for item in fields(Config)}
    assert set(GROUPS) - {"experiment"} <= groups


def test_defaults_are_the_users_test() -> None:
    config = validate(compose_config([]))
    assert (config.task.name, config.trainer.name, config.lora.rank) == ("benchmark", "unsloth_test", 64)
    trainer = config.trainer
    assert (trainer.train_rows, trainer.eval_rows, trainer.epochs, trainer.batch_size) == (20, 5, 2, 2)
    assert (config.generation.min_new_tokens, config.generation.max_new_tokens, config.generation.prompts) == (
        40,
        40,
        25,
    )


def test_all_problems_at_once() -> None:
    with pytest.raises(UserError) as raised:
        validate(
            compose_config(["lora.rank=0", "trainer.epochs=-1", "lora.dropout=1.5", "generation.min_new_tokens=99"])
        )
    text = "\n".join(raised.value.problems)
    assert len(raised.value.problems) == 4
    for part in ("lora.rank=0: must be >= 1", "trainer.epochs=-1", "lora.dropout=1.5", "generation.max_new_tokens=40"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lora.rnk=3"], ["lora.rnk=3: this key does not exist", "did you mean lora.rank?"]),
        (["+typo=1"], ["typo: this key does not exist"]),
        (["+trainer.epoch=1"], ["trainer.epoch: this key does not exist", "did you mean trainer.epochs?"]),
        (["lora.rank=many"], ["lora.rank=many: must be an integer"]),
        (["lora.targets=abc"], ["lora.targets=abc: must be a list such as [a,b]"]),
        (["model.dtype=int3"], ["model.dtype=int3: must be auto | float32 | bfloat16 | float16"]),
        (["backend=usloth"], ["backend=usloth: choose from hf, unsloth", "did you mean unsloth?"]),
        (["model=gema"], ["model=gema: choose from"]),
        (["modle=x"], ["modle=x: this key does not exist", "did you mean model?"]),
        (["data=csv"], ["data.path=null: data=csv needs the file; give data.path=<file>"]),
        (["model.path=nowhere"], ["model.path=nowhere: no such folder"]),
        (["data=csv", "data.path=none.csv"], ["data.path=none.csv: cannot be read (No such file or directory)"]),
        (["task=infer", "adapter=nowhere"], ["adapter=nowhere: no adapter found"]),
        (["adapter=x"], ["adapter=x: only task=infer and task=judge use an adapter"]),
        (["launch.isolate=false"], ["launch.isolate=false: task=benchmark has 2 phases"]),
        (["launch.isolate=false", "task=selection"], ["launch.isolate=false: task=selection has 3 phases"]),
        (
            ["model=koalpaca-korwkv-1.5b", "trainer.max_length=4096"],
            ["trainer.max_length=4096: koalpaca-korwkv-1.5b reads at most 1024 tokens"],
        ),
        (["experiment=model_selection"], ["-m: this experiment is a sweep; add -m"]),
        (
            ["-m", "task=selection,benchmark", "tracking=none"],
            ["-m: task=benchmark,selection: task=selection cannot be mixed with other tasks"],
        ),
        (["outputs=/dev/null/x"], ["outputs=/dev/null/x: /dev/null is a file, not a folder"]),
        (["lora.rank=[1"], ["lora.rank=[1: is not key=value"]),
        (["trainer.max_steps=0", "seed=-1"], ["2 problems", "trainer.max_steps=0", "seed=-1: must be >= 0"]),
        (["trainer.epochs=nan"], ["trainer.epochs=nan: must be >= 0.01"]),
        (["data=csv", "data.path=데이터 1.csv"], ["data.path=데이터 1.csv: cannot be read (No such file"]),
        (["data.path=데이터(1).csv"], ["is not key=value", "letters beyond ASCII"]),
        (["data.path=x.csv"], ["data.path=x.csv: data.manifest=unsloth_test lists ids of the shipped set"]),
        (["backend=hf,unsloth"], ["backend=hf,unsloth: several values make a sweep: add -m"]),
        (["data=csv", "data.path=~/none.csv"], ["/none.csv: cannot be read (No such file"]),
        (["lora=null"], ["lora=null: choose from dora, none, qlora, r128, r16, r32, r64, rslora"]),
        (["lora=none"], ["lora=none: task=benchmark trains an adapter; choose another lora, or task=infer"]),
        (["model=hub"], ["model.repo=null: a value is required; give model.repo=<value>"]),
        (["model=hub", "model.repo=gemma"], ["model.repo=gemma: a hub model needs owner/name"]),
        (["model=local"], ["model.path=null: a value is required; give model.path=<value>"]),
        (
            ["model=hub", "model.repo=a/b", "model.architecture=GemmaForCausual"],
            ["model.architecture=GemmaForCausual: choose from", "did you mean GemmaForCausalLM?"],
        ),
        (["model.license=gema"], ["model.license=gema: choose from gemma", "did you mean gemma?"]),
        (["model.accept_license=maybe"], ["model.accept_license=maybe: choose from true, gemma"]),
        (["model.shape.layer=3"], ["model.shape.layer=3: this key does not exist", "did you mean model.shape.layers?"]),
        (["preflight=maybe"], ["preflight=maybe: must be stop | warn | off"]),
        (["-m", "task=estimate", "lora=r16,r32"], ["-m: task=estimate prints everything in one call; remove -m"]),
        (["--run", "--cfg", "job"], ["Only one of"]),
        (["--resolve"], ["--resolve"]),
        (["-m", "--config-dir", "x", "seed=1,2"], ["--config-dir"]),
        (["-m", "hydra/launcher=none_such", "seed=1,2"], ["hydra/launcher=none_such: choose from basic"]),
        (["-m", "backend=hf,nope"], ["backend=nope: choose from hf, unsloth"]),
        (["-m", "backend=hf,unsloth", "lora.rank=0"], ["error: lora.rank=0: must be >= 1"]),
        (["-m", "lora.rank=0,16,-2"], ["[lora.rank=0] lora.rank=0", "[lora.rank=-2] lora.rank=-2"]),
    ],
)
def test_bad_input_is_one_clear_message(ohlora, tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    ran = ohlora(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err and "HYDRA_FULL_ERROR" not in ran.err
    for part in said:
        assert part in ran.err
    assert not list(tmp_path.rglob("attempt-*")) and not (tmp_path / "mlflow.db").exists()


def test_the_parent_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "mlflow", "unsloth", "trl", "peft", "datasets", "rich")
    light = "ohlora.run, ohlora.studies.sweep, ohlora.report.comparison.write"
    code = f"import sys, {light}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_flags_of_hydra_for_a_single_run(ohlora, tmp_path: Path) -> None:
    """More groups from a folder, a whole folder of groups, values that Hydra knows; what is not there is said."""
    (tmp_path / "own" / "model").mkdir(parents=True)
    option = "name: mine\nlabel: mine\nsource: hub\nrepo: a/b\nlicense: mit\n"
    (tmp_path / "own" / "model" / "mine.yaml").write_text(option)
    ran = ohlora("--config-dir", "own", "task=licenses", "model=mine")
    assert ran.code == 0 and "| mine | mit | MIT License |" in ran.out
    ran = ohlora("--config-dir", "nowhere", "task=licenses")
    assert ran.code == 2 and ran.err == "error: --config-dir=nowhere: no such folder\n"
    ran = ohlora("--config-path", str(conf_dir()), "--config-name", "config", "task=licenses")
    assert ran.code == 0 and "| gemma3-270m | gemma |" in ran.out
    ran = ohlora("task=licenses", "models=${hydra:runtime.cwd}/elsewhere")
    assert ran.code == 0 and f"{tmp_path}/elsewhere" in ran.out


def test_a_single_run_goes_where_hydra_is_told(ohlora, tmp_path: Path) -> None:
    ran = ohlora("launch.prefix=[/bin/false]", "tracking=none", "preflight=off", "hydra.run.dir=here")
    assert ran.code == 1 and (tmp_path / "here" / "attempt-1" / "result.json").is_file()
    assert not (tmp_path / "outputs").exists()


def test_what_hydra_itself_shows(ohlora) -> None:
    ran = ohlora("--info", "defaults", "lora=r16")
    assert ran.code == 0 and "lora/r16" in ran.out
    ran = ohlora("--shell-completion", "install=bash")
    assert ran.code == 0 and "complete" in ran.out


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["lora=r16", "seed=3", "lora.rank=8"],
        ["model=gemma2-2b-it", "experiment=model_selection", "lora.targets=[a,b]"],
        ["data=csv", "data.path='a b.csv'", "launch.prefix=[a,-b]", "model.prompt_template='{prompt}\n'"],
        ["+typo=1"],
        ["lora.rnk=3"],
        ["lora=r16,r64"],
        ["lora.rank=many"],
    ],
)
def test_other_tests_compose_what_hydra_does(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def compose_now() -> tuple[object, ...]:
        try:
            node = compose_config(overrides)
        except UserError as error:
            return (error.problems,)
        return to_plain(node), OmegaConf.is_struct(node), OmegaConf.get_type(node)

    usual = compose_now()
    monkeypatch.setattr(hydra, "compose", composition.compose)
    assert compose_now() == usual and compose_now() == usual  # the second time out of what is kept
