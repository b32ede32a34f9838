"""The choice of a model from result files alone: golden table, ranking, and words that follow the numbers."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from ohlora.config.identity import flatten, select_measured
from ohlora.errors import UserError
from ohlora.measure.quality import quality
from ohlora.records.manifest import Manifest, PlannedRun
from ohlora.records.result import Result
from ohlora.records.samples import Sample, write_samples
from ohlora.report.selection import write
from ohlora.report.selection.grades import find_grades, read_grades, write_template
from ohlora.report.selection.ranking import PARTS, parse_weights, rank_candidates, vary_weights
from ohlora.report.selection.selection import is_selection
from ohlora.report.selection.write import write_selection
from ohlora.report.words.comparison import WORDS

REFERENCES = ["오늘은 김치찌개가 좋겠어요!", "저는 밤하늘의 오로라예요.", "그건 조금 어려운 부탁이에요."]
ANSWERS = {"good": [*REFERENCES[:2], "그건 어려운 부탁이에요."], "poor": ["모르겠어요", "I do not know", "네 " * 12]}
BASE = {"infer/infer_time_s": 10.0, "infer/peak_rss_mib": 1000.0, "infer/prompts": 25.0}
SMALL = {
    "train/train_time_s": 20.0,
    "train/peak_rss_mib": 2000.0,
    "eval/eval_loss": 3.0,
    "eval/eval_bits_per_char": 2.0,
}
LARGE = {
    "train/train_time_s": 60.0,
    "train/peak_rss_mib": 6000.0,
    "eval/eval_loss": 3.5,
    "eval/eval_bits_per_char": 1.0,
}
BASE_LARGE = {"infer/infer_time_s": 30.0, "infer/peak_rss_mib": 3000.0, "infer/prompts": 25.0}
CPU, GPU = {"type": "cpu", "name": "CPU (test)", "ram_mib": 8000}, {"type": "cuda", "name": "GPU", "vram_mib": 9000}
GOLDEN = """\
| model | parameters | licence | Inference memory | Inference time | LoRA rank | Fine-Tuning memory | Fine-Tuning time | bits per character | eval loss | chrF | well-formed answers | a person's grade (1–5) |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| **small** | 500 M | mit | 1,000 MiB RSS | 10.5 s (n=2) | 16 | 2,000 MiB RSS | 20.0 s | 2.000 | 3.000 | 3.0 | 33 % |  |
|  |  |  |  |  | 32 | 2,000 MiB RSS | 20.0 s | 2.000 | 3.000 | 3.0 | 33 % |  |
| **large** | 2.61 B | gemma (!) | 3,000 MiB RSS | 30.0 s (n=1) | 16 | 6,000 MiB RSS | 60.0 s | 1.000 | 3.500 | 89.0 | 100 % |  |
| **away** (skipped: no weights here) | 1.00 B | unknown (!) | — | — | 16, 32 | — | — | — | — | — | — |  |
"""  # noqa: E501


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of a report's time and is looked at in test_pareto; the command line draws here too."""
    plain = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'
    monkeypatch.setattr(write, "pareto_plot", lambda points, axis, title, lang: plain)


def put(folder: Path, named: str, rank: int, metrics: dict[str, float], kind: str = "", **changed: Any) -> Result:
    """A run of task=selection with its answers."""
    facts = {"small": (500.0, "mit"), "large": (2614.3, "gemma")}.get(named, (1000.0, "unknown"))
    requested = {
        "model": {"name": named, "params_m": facts[0], "license": facts[1]},
        "lora": {"rank": rank, "method": "lora", "quantization": "none"},
        "backend": {"name": "hf"},
        "trainer": {"epochs": 10, "batch_size": 4, "train_rows": 20, "eval_rows": 5},
        "generation": {"prompts": 25, "max_new_tokens": 80},
    }
    result = Result(
        f"{named}-r{rank}-{changed.get('repeat', 0)}", "finished", "selection", f"model={named},lora=r{rank}",
        order=len(list(folder.glob("*"))), requested=requested, device=CPU, metrics=metrics,
        model={"name": named, "label": f"{named} (label)", "params_m": facts[0], "licence": facts[1]},
    )  # fmt: skip
    for key, value in changed.items():
        setattr(result, key, value)
    run = folder / result.run_id
    run.mkdir(parents=True)
    if kind:
        samples = [
            Sample(str(i), f"질문 {i}?", r, a, True)
            for i, (r, a) in enumerate(zip(REFERENCES, ANSWERS[kind], strict=True))
        ]
        write_samples(run / "attempt-1" / "samples" / "answer.jsonl", samples)
        result.metrics = {**result.metrics, **quality(samples)}
    result.write(run)
    return result


def study(folder: Path) -> Path:
    """Small and cheap with poor answers, large and dear with good ones, and one whose weights are not there."""
    put(folder, "small", 16, BASE | SMALL, "poor")
    put(folder, "small", 32, BASE | SMALL | {"infer/infer_time_s": 11.0}, "poor")
    put(folder, "large", 16, BASE_LARGE | LARGE, "good")
    for rank in (16, 32):
        reason = {"code": "absent", "text": "no weights here"}
        put(folder, "away", rank, {}, status="skipped", reason=reason, device={}, model={})
    return folder


def test_the_users_table(tmp_path: Path) -> None:
    code, printed = write_selection([study(tmp_path)])
    assert (
        code == 0 and (tmp_path / "selection.md").read_text("utf-8").startswith(GOLDEN) and printed.startswith(GOLDEN)
    )


def test_a_disturbed_run_is_in_a_table_and_counts(tmp_path: Path) -> None:
    stopped = {"train": {"wall_s": 40.0, "longest_pause_s": 20.0, "pauses_s": 20.0}}
    put(study(tmp_path), "small", 64, BASE | SMALL, "good", disturbance=stopped)
    write_selection([tmp_path])
    text = (tmp_path / "selection.md").read_text("utf-8")
    assert "their figures count all the same.\n\n| repeat | model | phase | why |" in text
    assert "| 1 | small r64 | train | the process was paused for 20.0 s |" in text
    write_selection([tmp_path], "ko")
    assert "| 1 | small r64 | 학습 | 프로세스가 20.0초 동안 멈춤 |" in (tmp_path / "selection.md").read_text("utf-8")


def test_the_choice_follows_the_numbers(tmp_path: Path) -> None:
    _, printed = write_selection([study(tmp_path)])
    (machine,) = json.loads((tmp_path / "selection.json").read_text())["machines"]
    assert machine["choice"]["model"] == "large" and machine["choice"]["rank"] == "16"
    assert "**large, LoRA rank 16**: score 0.801 of 1. The best other model is small, LoRA rank 16 with 0.47" in printed
    assert "The part that decides most is quality: chrF of well-formed answers 89.0 against" in printed
    for said in (
        "its licence restricts its use: Gemma Terms of Use",
        "small, LoRA rank 16 is ahead in memory, over all figures of that part: Fine-Tuning memory 2,000 MiB",
        "1 of 3 models were not measured on this machine: away",
        "figures of a CPU say nothing about a GPU",
        "was trained once, with one seed",
    ):
        assert printed.count(said) == 1, said
    assert "not well-formed" not in printed
    _, turned = write_selection([tmp_path], weights={"memory": 1.0, "quality": 0.1})
    assert "**small, LoRA rank 16; small, LoRA rank 32**" not in turned  # one model tied with itself is chosen
    assert "**small, LoRA rank 16**: score 0.9" in turned and "The part that decides most is memory" in turned
    assert "67 % of its answers are not well-formed" in turned and "Gemma Terms" not in turned


def test_the_choice_says_when_its_weights_decide_it(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL | {"quality/usable_chrf": 10.0})
    put(tmp_path, "large", 16, BASE_LARGE | LARGE | {"quality/usable_chrf": 20.0})
    _, printed = write_selection([tmp_path], weights={"quality": 0.58, "memory": 0.21, "time": 0.21})
    assert "**large, LoRA rank 16**" in printed and "single runs cannot show a difference that small" in printed
    assert "with the weight of quality halved, the choice is small, LoRA rank 16" in printed
    assert "with the weight of memory doubled, the choice is small, LoRA rank 16" in printed
    assert "with the weight of quality doubled" not in printed


def test_a_choice_that_is_beaten_by_chrf_and_cost_says_so(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL | {"quality/usable_chrf": 21.0, "eval/eval_bits_per_char": 9.0})
    put(tmp_path, "large", 16, BASE_LARGE | LARGE | {"quality/usable_chrf": 20.0})
    _, printed = write_selection([tmp_path], weights={"quality": 1})
    assert "**large, LoRA rank 16**" in printed
    assert "small, LoRA rank 16: at least as good by chrF, with no more Fine-Tuning memory" in printed


def test_what_did_not_finish_keeps_its_row_its_numbers_and_its_reason(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good")
    reason = {"code": "out_of_memory", "text": "asked for 9 GiB | of 8"}
    put(tmp_path, "large", 16, dict(BASE_LARGE), status="oom", reason=reason)
    code, printed = write_selection([tmp_path])
    assert (
        "| **large** (oom: asked for 9 GiB / of 8) | 2.61 B | gemma (!) | 3,000 MiB RSS | 30.0 s (n=1) | 16 | —"
        in printed
    )
    assert "- **large**, LoRA rank 16: oom: out_of_memory; asked for 9 GiB | of 8" in printed
    assert code == 1 and "no other model finished, so there is nothing to compare it with" in printed


def test_what_did_not_finish_is_told_in_korean(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good", requested=asking("small"))
    put(tmp_path, "away", 16, {}, status="skipped", reason={"text": "no weights here"}, requested=asking("away"))
    plan(tmp_path, asking("later", model__license="unknown"))
    _, printed = write_selection([tmp_path], "ko")
    assert "| **away** (건너뜀: no weights here) |" in printed and "LoRA rank 16: 건너뜀: no weights here" in printed
    assert "| **later** (실행 안 됨) | — | 알 수 없음 (!) |" in printed
    rows = list(csv.DictReader(io.StringIO((tmp_path / "selection.csv").read_text("utf-8"))))
    assert {row["status"] for row in rows} == {"finished", "skipped", "not run"}


def test_nothing_finished(tmp_path: Path) -> None:
    put(tmp_path, "large", 16, {}, status="skipped", reason={"code": "absent", "text": "x"}, device={})
    code, printed = write_selection([tmp_path])
    assert code == 1 and "No candidate finished" in printed and (tmp_path / "selection.html").is_file()
    assert json.loads((tmp_path / "selection.json").read_text())["machines"][0]["choice"] is None
    assert not list(tmp_path.glob("*.svg"))


def plan(folder: Path, *asked: dict[str, Any], kind: Any = "selection") -> None:
    """A manifest of what ran, as it was asked, and of runs that ask for this and left no result."""
    ran = [json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))]
    jobs = [PlannedRun([], run["arm"], 0, run["run_id"], "", flatten(select_measured(run["requested"]))) for run in ran]
    jobs += [
        PlannedRun([], f"arm {i}", 0, f"planned-{i}", "", flatten(select_measured(one))) for i, one in enumerate(asked)
    ]
    Manifest(kind, jobs, []).write(folder)


def asking(named: str, rank: int = 16, **changed: Any) -> dict[str, Any]:
    """What a run of `put` asks for, with other values of keys: trainer__learning_rate=0.1."""
    groups: dict[str, dict[str, Any]] = {
        "model": {"name": named, "license": "mit"},
        "lora": {"rank": rank, "alpha": rank, "method": "lora", "quantization": "none"},
        "backend": {"name": "hf"},
        "trainer": {"name": "selection", "epochs": 10, "batch_size": 4, "learning_rate": 0.0002},
    }
    seed = changed.pop("seed", 42)
    for key, value in changed.items():
        group, name = key.split("__")
        groups.setdefault(group, {})[name] = value
    return {**groups, "seed": seed, "arm": "x", "repeat": 0}


def test_what_was_planned_and_never_ran(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good", requested=asking("small"))
    plan(tmp_path, asking("later"), asking("small", 32))
    code, printed = write_selection([tmp_path], "ko")
    assert code == 1 and "- **later**, LoRA rank 16: 실행 안 됨" in printed
    assert "- **small**, LoRA rank 32: 실행 안 됨" in printed
    (machine,) = json.loads((tmp_path / "selection.json").read_text())["machines"]
    assert [one["licence"] for one in machine["candidates"]] == ["mit", "mit"]  # as the plan asks


def test_a_plan_of_an_older_version_names_what_never_ran_by_its_arm(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good")
    jobs = [{"arm": f"model={model},lora=r16", "run_id": f"{model}-r16-0", "overrides": []} for model in ("x", "small")]
    (tmp_path / "manifest.json").write_text(
        json.dumps({"schema": 1, "kind": "selection", "lang": "ko", "planned": jobs})
    )
    code, printed = write_selection([tmp_path])
    assert code == 1 and "- **model=x,lora=r16**, LoRA rank —: 실행 안 됨" in printed
    assert printed.index("**small**") < printed.index("**model=x")  # planned first, but only the other was measured


def rows_of(folder: Path, **given: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """(model, rank) -> its entry in selection.json."""
    write_selection([folder], **given)
    machines = json.loads((folder / "selection.json").read_text())["machines"]
    found = [(one["model"], entry) for made in machines for one in made["candidates"] for entry in one["ranks"]]
    assert len({(model, entry["rank"]) for model, entry in found}) == len(found)
    return {(model, entry["rank"]): entry for model, entry in found}


def test_other_settings_are_no_repeats(tmp_path: Path) -> None:
    for i, rate in enumerate((0.0002, 0.0001)):
        metrics = BASE | {**SMALL, "train/train_time_s": 20.0 + 40 * i}
        put(tmp_path, "small", 16, metrics, repeat=i, requested=asking("small", trainer__learning_rate=rate))
    put(tmp_path, "small", 32, BASE | SMALL, requested=asking("small", 32))
    found = rows_of(tmp_path)
    assert {rank: entry["medians"]["train/train_time_s"] for (_, rank), entry in found.items()} == {
        "16 learning_rate=0.0002": 20.0, "16 learning_rate=0.0001": 60.0, "32": 20.0,
    }  # fmt: skip
    assert {model for model, _ in found} == {"small"}  # the base model's inference is the same
    assert "| 16 learning_rate=0.0001 | 2,000 MiB RSS | 60.0 s |" in (tmp_path / "selection.md").read_text("utf-8")
    assert "small,16 learning_rate=0.0001," in (tmp_path / "grades.csv").read_text()


def test_another_seed_is_a_repeat(tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path, "small", 16, BASE | SMALL, repeat=i, requested=asking("small", seed=i))
    assert [len(entry["runs"]) for entry in rows_of(tmp_path).values()] == [3]


def test_what_changes_inference_is_named_with_the_model_at_every_rank(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, requested=asking("small"))
    put(tmp_path, "small", 16, BASE | SMALL, repeat=1, requested=asking("small", backend__name="unsloth"))
    put(tmp_path, "small", 32, BASE | SMALL, requested=asking("small", 32))
    put(tmp_path, "large", 16, BASE | SMALL, requested=asking("large"))
    put(tmp_path, "large", 16, BASE | SMALL, repeat=1, requested=asking("large", lora__method="dora"))
    assert set(rows_of(tmp_path)) == {
        ("small backend=hf", "16"), ("small backend=hf", "32"), ("small backend=unsloth", "16"),
        ("large", "16 method=lora"), ("large", "16 method=dora"),
    }  # fmt: skip


def test_another_option_is_named_once_and_what_it_does_not_explain_too(tmp_path: Path) -> None:
    asked = [
        asking("small"),
        asking("small", trainer__name="sft", trainer__epochs=3.0, trainer__batch_size=8),
        asking("small", trainer__name="sft", trainer__epochs=3.0, trainer__batch_size=8, trainer__learning_rate=1e-5),
    ]
    for i, requested in enumerate(asked):
        put(tmp_path, "small", 16, BASE | SMALL, repeat=i, requested=requested)
    assert {rank for _, rank in rows_of(tmp_path)} == {
        "16 trainer=selection learning_rate=0.0002", "16 trainer=sft learning_rate=0.0002",
        "16 trainer=sft learning_rate=1e-05",
    }  # fmt: skip


def local(folder: Path, path: str, digest: str, rank: int = 16, **changed: Any) -> None:
    """A run of model=local, whose label is the folder that it was given."""
    facts = {"name": "local", "label": Path(path).name, "folder": path, "hash": digest, "licence": "mit"}
    requested = asking("local", rank, model__path=path, model__label=path)
    put(folder, "local", rank, BASE | SMALL, **{"requested": requested, "model": facts, **changed})


def test_two_folders_under_one_name_are_two_models(tmp_path: Path) -> None:
    """Told apart by their weights; what loaded none belongs to the weights that its folder had in other runs."""
    local(tmp_path, "/m/first", "aaaa")
    local(tmp_path, "/m/second", "bbbb", repeat=1)
    local(tmp_path, "/elsewhere/first", "aaaa", repeat=2)  # the same weights, wherever they lie
    reason = {"code": "too_large", "text": "x"}
    local(tmp_path, "second", "", 32, model={}, device={}, status="skipped", reason=reason)
    found = rows_of(tmp_path)
    assert {key: len(entry["runs"]) for key, entry in found.items()} == {
        ("local (first)", "16"): 2, ("local (second)", "16"): 1, ("local (second)", "32"): 1,
    }  # fmt: skip


def test_a_planned_run_belongs_to_the_weights_that_its_plan_names(tmp_path: Path) -> None:
    """A plan holds the hash of a model's folder in place of its path."""
    local(tmp_path, "/m/first", "aaaa")
    local(tmp_path, "/m/second", "bbbb", repeat=1)
    plan(tmp_path, *(asking("local", 64, model__path=one, model__label=f"m/{one}") for one in ("bbbb", "cccc")))
    assert set(rows_of(tmp_path)) == {
        ("local (first)", "16"), ("local (second)", "16"), ("local (second)", "64"), ("local (cccc)", "64"),
    }  # fmt: skip


def test_another_chat_template_is_another_candidate(tmp_path: Path) -> None:
    """The weights' hash leaves it out; the planned hash of the folder does not."""
    for repeat, one in enumerate("aab"):
        local(tmp_path, f"/m/{one}", "1234", repeat=repeat, requested=asking("local", model__path=one * 64))
    plan(tmp_path)
    assert {(model, len(entry["runs"])) for (model, _), entry in rows_of(tmp_path).items()} == {
        ("local model=aaaaaaaa", 2), ("local model=bbbbbbbb", 1),
    }  # fmt: skip


def test_weights_of_one_name_and_folder_are_told_apart_by_their_hash(tmp_path: Path) -> None:
    local(tmp_path, "/a/model", "aaaa")
    local(tmp_path, "/b/model", "bbbb", repeat=1)
    assert {model for model, _ in rows_of(tmp_path)} == {"local (aaaa)", "local (bbbb)"}


def test_a_file_of_other_data_is_no_repeat(tmp_path: Path) -> None:
    for i, tokens in enumerate(("a" * 64, "b" * 64, "b" * 64)):
        put(tmp_path, "small", 16, BASE | SMALL, repeat=i, requested=asking("small"), hashes={"tokens": tokens})
    assert {(model, len(entry["runs"])) for (model, _), entry in rows_of(tmp_path).items()} == {
        ("small data=aaaaaaaa", 1), ("small data=bbbbbbbb", 2),
    }  # fmt: skip


def test_planned_runs_join_their_model(tmp_path: Path) -> None:
    put(tmp_path, "large", 16, BASE_LARGE | LARGE, "good", requested=asking("large", model__license="gemma"))
    put(tmp_path, "large", 16, BASE | LARGE, "good", repeat=1, requested=asking("large", backend__name="unsloth"))
    put(tmp_path, "small", 16, BASE | SMALL, "good", requested=asking("small"))
    plan(
        tmp_path,
        asking("large", 32, backend__name="unsloth"),
        asking("large", 64, lora__method="dora"),
        asking("small", 64, lora__method="rslora"),
        asking("small", backend__name="unsloth", model__params_m=500.0),
    )
    found = rows_of(tmp_path)
    assert {key for key, entry in found.items() if entry["status"] == "not run"} == {
        ("large backend=unsloth", "32"), ("large backend=hf", "64"), ("small backend=hf", "64"),
        ("small backend=unsloth", "16"),
    }  # fmt: skip
    assert len({model for model, _ in found}) == 4
    (machine,) = json.loads((tmp_path / "selection.json").read_text())["machines"]
    licences = {one["model"]: (one["licence"], one["params_m"]) for one in machine["candidates"]}
    assert licences["small backend=unsloth"] == ("mit", 500.0)  # as the plan asks
    against = next(text for text in machine["against"] if "not measured" in text)
    assert against.startswith("1 of 4 models") and against.endswith(": small backend=unsloth")
    assert "unknown (!)" not in (tmp_path / "selection.md").read_text("utf-8")


def test_what_a_plan_sweeps_is_named_where_runs_differ_in_it(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good", requested=asking("small"))
    plan(
        tmp_path,
        *(asking("gemma", 64, lora__quantization=one) for one in ("nf4", "none")),
        asking("small", 64),
        asking("small", trainer__learning_rate=1e-4),
    )
    assert set(rows_of(tmp_path)) == {
        ("small", "16 learning_rate=0.0002"), ("small", "16 learning_rate=0.0001"), ("small", "64"),
        ("gemma quantization=none", "64"), ("gemma quantization=nf4", "64"),
    }  # fmt: skip
    assert "- **small**, LoRA rank 64: not run\n" in (tmp_path / "selection.md").read_text("utf-8")


def test_a_long_value_is_cut_on_one_line_and_stays_another_than_any_other(tmp_path: Path) -> None:
    for i, template in enumerate(("질문: {prompt}\n답변:\n", "질문: {prompt}\n답변: ")):
        requested = asking("small", model__prompt_template=template)
        put(tmp_path, "small", 16, BASE | SMALL, repeat=i, requested=requested)
    models = {model for model, _ in rows_of(tmp_path)}
    assert len(models) == 2 and all(one.startswith("small prompt_template=질문: {prompt} 답변:… ") for one in models)


def test_a_repeat_that_never_ran_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good", requested=asking("small"))
    plan(tmp_path, asking("small"), asking("small", seed=7))
    code, printed = write_selection([tmp_path])
    assert code == 1 and "- **small**, LoRA rank 16: not run: 2/3" in printed


def test_machines_are_ranked_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, "small", 16, BASE | SMALL, "good")
    put(two, "small", 16, BASE | {**SMALL, "train/train_time_s": 1.0, "train/peak_vram_mib": 900.0}, "good", device=GPU)
    put(two, "large", 16, {}, status="skipped", reason={"code": "too_large", "text": "x"}, device={})
    _, printed = write_selection([one, two], out=tmp_path / "out")
    machines = json.loads((tmp_path / "out" / "selection.json").read_text())["machines"]
    assert [made["machine"] for made in machines] == ["CPU (test), 8000 MiB", "GPU, 9000 MiB"]
    assert [len(made["ranking"]) for made in machines] == [1, 1] and "Different machines" in printed
    assert "| GPU, 9000 MiB | **large** (skipped: x)" in printed  # it would have run where the folder's others did
    assert "| 900 MiB | 1.0 s |" in printed and len(list((tmp_path / "out").glob("*.svg"))) == 4


def test_repeats_are_take_medians(tmp_path: Path) -> None:
    for repeat, seconds in enumerate((20.0, 50.0, 30.0)):
        put(tmp_path, "small", 16, BASE | {**SMALL, "train/train_time_s": seconds}, "good", repeat=repeat)
    put(tmp_path, "small", 16, dict(BASE), status="failed", reason={"code": "x", "text": "x"}, repeat=3)
    _, printed = write_selection([tmp_path])
    assert "| 30.0 s |" in printed and "(n=4)" in printed and "trained once" not in printed


def test_estimates_stand_beside_what_was_measured(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL | {"estimate/train/peak_mib": 2500.0}, "good")
    put(tmp_path, "large", 16, {"estimate/train/peak_mib": 99.0}, status="skipped", reason={"text": "x"})
    write_selection([tmp_path])
    text = (tmp_path / "selection.md").read_text("utf-8")
    assert "| small | 16 | fine-tuning memory | 2,500 MiB | 2,000 MiB | +25.0 % |" in text
    assert "99 MiB" not in text  # nothing was measured beside it
    assert "that no term of the estimate was fitted on: 1 figures, error at most 25.0 %, mean 25.0 %" in text
    assert "Not a judgement" not in text


def test_estimates_of_fitted_models_are_no_judgement(tmp_path: Path) -> None:
    """The terms were fitted on runs of this model on a CPU: its errors are counted apart."""
    estimated = {"estimate/train/peak_mib": 2200.0, "estimate/infer/peak_mib": 1100.0}
    put(tmp_path, "gemma3-270m", 16, BASE | SMALL | estimated, "good")
    write_selection([tmp_path])
    text = (tmp_path / "selection.md").read_text("utf-8")
    assert "Not a judgement: 2 figures are of models that terms were fitted on" in text
    assert "this report does not judge the estimate" in text and "Judged on runs" not in text
    put(tmp_path, "gemma3-270m", 16, BASE | SMALL | estimated, "good", repeat=1, device=GPU)
    write_selection([tmp_path])
    assert "was fitted on: 2 figures, error at most 10.0 %" in (tmp_path / "selection.md").read_text("utf-8")


def test_answers_are_folded_and_obeyed_nowhere(tmp_path: Path) -> None:
    study(tmp_path)
    path = tmp_path / "large-r16-0" / "attempt-1" / "samples" / "answer.jsonl"
    path.write_text(
        path.read_text("utf-8").replace("그건 어려운", "<script>x</script> | \\u001f**굵게** 그건"), "utf-8"
    )
    write_selection([tmp_path], "ko")
    text, html = ((tmp_path / f"selection.{kind}").read_text("utf-8") for kind in ("md", "html"))
    assert text.count("<details>") == html.count("<details>") == 3
    assert (
        "<script" not in text + html
        and "\x1f" not in text + html
        and "&lt;script&gt;x&lt;/script&gt; | \ufffd**굵게** 그건" in html
    )
    assert (
        "<td>small</td><td>16</td><td>I do not know</td><td>다른 언어</td>" in text
        and "<td>참조 답변</td><td></td><td>저는 밤하늘의 오로라예요.</td><td></td>" in text
    )
    folded = text[text.index("<details>") :]
    assert folded in html and "<td>32</td>" not in folded  # the best rank alone
    assert all("\n\n" not in one.strip() for one in folded.split("</details>"))  # it would end the HTML
    assert html.rstrip().endswith("</details>\n</main>\n</body>\n</html>") and "<svg" in html


def test_csv_has_a_line_per_run(tmp_path: Path) -> None:
    write_selection([study(tmp_path)])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "selection.csv").read_text("utf-8"))))
    assert [(row["model"], row["rank"], row["status"]) for row in rows[-3:]] == [
        ("large", "16", "finished"), ("away", "16", "skipped"), ("away", "32", "skipped"),
    ]  # fmt: skip
    assert rows[-1]["code"] == "absent" and float(rows[2]["train/train_time_s"]) == 60.0


def test_other_questions_are_said(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good", hashes={"questions": "a"})
    put(tmp_path, "large", 16, BASE_LARGE | LARGE, "good", hashes={"questions": "b"})
    assert "**Not the same questions**" in write_selection([tmp_path])[1]


def test_grades_are_asked_for_kept_and_counted(tmp_path: Path) -> None:
    grades = study(tmp_path) / "grades.csv"
    _, printed = write_selection([tmp_path])
    assert (
        grades.read_text() == "model,rank,grade\nsmall,16,\nsmall,32,\nlarge,16,\n" and "fill in grades.csv" in printed
    )
    grades.write_text("model,rank,grade\nlarge,16,1\nsmall,16,5\n")
    _, printed = write_selection([tmp_path])
    assert grades.read_text() == "model,rank,grade\nlarge,16,1\nsmall,16,5\nsmall,32,\n"
    assert (
        "Not counted, since not every finished candidate has it: a person's grade"
        in (tmp_path / "selection.md").read_text()
    )
    grades.write_text("model,rank,grade\nlarge,16,1\nsmall,16,5\nsmall,r32,4.5\ngone,8,3\n")
    _, printed = write_selection([tmp_path])
    assert "| 3.0 | 33 % | 5 |" in printed and "gone r8" in printed and "fill in" not in printed
    machine = json.loads((tmp_path / "selection.json").read_text())["machines"][0]
    assert machine["weights"]["grade"] == pytest.approx(0.4 / 1.4)
    _, printed = write_selection([tmp_path], weights={"quality": 1.0, "grade": 2.0})
    assert (
        "**small, LoRA rank 16**" in printed
        and "most is a person's grade: a person's grade (1–5) 5 against 1" in printed
    )
    _, printed = write_selection([tmp_path], weights={"quality": 1.0})
    assert "**large, LoRA rank 16**: score 1.000" in printed  # weights that do not name it leave it out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,rank\na,1\n", "has no column grade"),
        ("model,rank,grade\na,16,7\n", "line 2: grade=7: give 1 to 5"),
        ("model,rank,grade\na,16,gut\n", "line 2: grade=gut"),
        ("model,rank,grade\na,16,1\na,r16,2\n", "line 3: a rank 16 stands twice"),
    ],
)
def test_grades_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "grades.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_grades(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_grades(tmp_path / "none.csv")
    write_template(tmp_path / "new.csv", [("a, b", "16")])
    assert read_grades(tmp_path / "new.csv") == {("a, b", "16"): None}


@pytest.mark.parametrize(("bom", "end"), [(b"", b"\n"), (b"\xef\xbb\xbf", b"\r\n")])
def test_a_persons_lines_stay_byte_for_byte(tmp_path: Path, bom: bytes, end: bytes) -> None:
    path = tmp_path / "grades.csv"
    mine = bom + end.join([b'rank,comment,model,"grade"', '"r16","좋아요, 정말",large, 4.50'.encode(), b"32,,small,9"])
    path.write_bytes(mine)
    write_template(path, [("large", "16"), ("small", "32")])
    assert path.read_bytes() == mine  # nothing is missing
    for _ in range(2):
        write_template(path, [("large", "16"), ("small", "16"), ("a, b", "16 learning_rate=0.0001")])
        added = [b"16,,small,", b'16 learning_rate=0.0001,,"a, b",', b""]
        assert path.read_bytes() == mine + end + end.join(added)
    assert find_grades(path)[0]["large", "16"] == 4.5


@pytest.mark.parametrize("text", ["model;rank;grade\na;16;1\n", 'model,rank,grade\na,16,"1\n', "\udcff,\udcfe"])
def test_a_file_that_is_not_understood_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grades.csv"
    path.write_bytes(content := text.encode("utf-8", "surrogateescape"))
    write_template(path, [("b", "16")])
    assert path.read_bytes() == content
    study(tmp_path / "runs")
    (tmp_path / "runs" / "grades.csv").write_bytes(content)
    code, printed = write_selection([tmp_path / "runs"])
    assert code == 0 and "a grade was left out: " in printed


def test_a_slip_in_grades_costs_no_report(tmp_path: Path) -> None:
    path = study(tmp_path) / "grades.csv"
    path.write_text("model,rank,grade\nlarge,16,2\nsmall,r16,6\nsmall,32,gut\n,,\n")
    code, printed = write_selection([tmp_path])
    assert code == 0 and "a grade was left out: " in printed
    assert "line 3: grade=6: give 1 to 5" in printed and "line 4: grade=gut" in printed and "not here" not in printed
    grades = {key: entry["grade"] for key, entry in rows_of(tmp_path).items()}
    assert grades["large", "16"] == 2 and grades["small", "16"] is grades["small", "32"] is None
    with pytest.raises(UserError, match="line 3: grade=6"):
        write_selection([tmp_path], grades=path)


def row(chrf: float, memory: float = 1.0, time: float = 1.0, **more: float) -> dict[str, float]:
    both = {"train_memory": memory, "infer_memory": memory, "train_time": time, "infer_time": time}
    return {"usable_chrf": chrf, **both, **more}


def test_scores_are_ratios_to_the_best() -> None:
    made = rank_candidates([row(10, memory=4), row(20, memory=8, time=2)], {"quality": 6, "memory": 1, "time": 1})
    assert made.weights == {"quality": 0.75, "memory": 0.125, "time": 0.125} and made.left_out == []
    first, second = made.scores
    assert (first.index, first.place, first.score) == (1, 1, pytest.approx(0.75 + 0.125 * 0.5 + 0.125 * 0.5))
    assert second.parts == {"quality": 0.5, "memory": 1.0, "time": 1.0} and second.score == pytest.approx(0.625)


def test_a_bad_candidate_moves_no_others_score() -> None:
    rows = [row(10, memory=4), row(20, memory=8)]
    scores = {r.index: r.score for r in rank_candidates(rows, {"quality": 1, "memory": 1}).scores}
    more = {r.index: r.score for r in rank_candidates([*rows, row(1, memory=99)], {"quality": 1, "memory": 1}).scores}
    assert more[2] < min(scores.values()) and all(more[index] == score for index, score in scores.items())


def test_ties_share_a_place() -> None:
    made = rank_candidates([row(10), row(20), row(20), row(5)], {"quality": 1})
    assert [r.place for r in made.scores] == [1, 1, 3, 4] and [r.index for r in made.winners] == [1, 2]


def test_what_a_row_lacks_counts_for_none() -> None:
    made = rank_candidates([row(10, bits=1.0), row(20)], {"quality": 1, "grade": 1})
    assert made.left_out == ["bits"] and made.figures == {"quality": ["usable_chrf"]} and made.scores[0].index == 1
    assert rank_candidates([], {"quality": 1}).scores == [] and vary_weights([], {"quality": 1}) == {}


def test_the_score_of_an_unrelated_answer_is_subtracted() -> None:
    made = rank_candidates([row(4), row(8), row(3)], {"quality": 1}, {"usable_chrf": 4.0})
    assert {r.index: r.score for r in made.scores} == {0: 0.0, 1: 1.0, 2: 0.0}


@pytest.mark.parametrize("lost", [nan, inf, 0.0])
def test_a_number_that_is_none_is_the_worst(lost: float) -> None:
    assert rank_candidates([row(10, bits=1.0), row(10, bits=lost)], {"quality": 1}).scores[-1].score == pytest.approx(
        0.5
    )


def test_a_loss_that_is_no_number_is_the_worst(tmp_path: Path) -> None:
    put(tmp_path, "small", 16, BASE | SMALL, "good")
    put(tmp_path, "large", 16, BASE_LARGE | {**LARGE, "eval/eval_loss": nan}, "good")
    write_selection([tmp_path])
    (machine,) = json.loads((tmp_path / "selection.json").read_text())["machines"]
    assert machine["figures"]["quality"] == ["usable_chrf", "bits"] and machine["ranking"][1]["parts"]["quality"] == 0.5


def test_whether_the_winner_depends_on_a_weight() -> None:
    rows = [row(10, memory=1), row(12, memory=3)]
    weights = {"quality": 0.8, "memory": 0.2}
    assert rank_candidates(rows, weights).winners[0].index == 0
    assert vary_weights(rows, weights) == {"quality": {2.0: [1], 0.5: [0]}, "memory": {2.0: [0], 0.5: [1]}}


def test_weights() -> None:
    assert parse_weights("quality=2, time=0") == {"quality": 2.0, "time": 0.0}
    for text in ("qualty=1", "quality", "quality=-1", "quality=nan", "quality=0", "", "quality=1,price=2"):
        with pytest.raises(UserError, match="--weights"):
            parse_weights(text)
    with pytest.raises(UserError, match="did you mean quality"):
        parse_weights("qualty=1")


def test_every_part_and_figure_has_its_words() -> None:
    codes = (
        [f"s.part.{p}" for p in PARTS] + [f"s.why.{p}" for p in PARTS] + [f"s.{f}" for fs in PARTS.values() for f in fs]
    )
    assert not set(codes) - set(WORDS)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_command_line(tmp_path: Path, lang: str) -> None:
    study(tmp_path / "s")
    (tmp_path / "g.csv").write_text("model,rank,grade\nlarge,16,2\nsmall,16,4\nsmall,32,3\n")

    def report(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ohlora.report", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = report("s", "--lang", lang, "--weights", "grade=1", "--grades", "g.csv", "--out", "out")
    assert done.returncode == 0 and "**small, LoRA rank 16**" in done.stdout, done.stderr
    assert (tmp_path / "out" / "selection.md").is_file() and not (tmp_path / "out" / "grades.csv").exists()
    wrong = report("s", "--weights", "speed=1")
    assert wrong.returncode == 2 and "choose from quality, memory, time, grade" in wrong.stderr
    Result("a", "finished", "benchmark", "a").write((tmp_path / "other").mkdir() or tmp_path / "other")
    (tmp_path / "g.csv").write_text("model,rank,grade\nlarge,16,6\n")
    wrong = report("s", "--grades", "g.csv")
    assert wrong.returncode == 2 and "g.csv: line 2: grade=6" in wrong.stderr
    mixed = report("s", "other")
    assert mixed.returncode == 2 and "is no model selection" in mixed.stderr


def test_a_plan_decides_which_report_it_is(tmp_path: Path) -> None:
    put(tmp_path / "pairs", "small", 16, BASE | SMALL, "good")
    plan(tmp_path / "pairs", kind="pairs")
    put(tmp_path / "sweep", "small", 16, BASE | SMALL, "good")
    plan(tmp_path / "sweep", asking("small", 32), kind="sweep")
    put(tmp_path / "selection", "small", 16, BASE | SMALL, "good")
    plan(tmp_path / "selection")
    (tmp_path / "planned").mkdir()
    plan(tmp_path / "planned", asking("small"))
    put(tmp_path / "runs", "small", 16, BASE | SMALL, "good")
    kinds = {folder.name: is_selection(folder) for folder in tmp_path.iterdir()}
    assert kinds == {"pairs": False, "sweep": False, "selection": True, "planned": True, "runs": True}
    command = [sys.executable, "-m", "ohlora.report", "pairs"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "pairs" / "comparison.json").is_file() and not (tmp_path / "pairs" / "selection.md").exists()
