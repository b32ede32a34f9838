"""The last phase of task=judge and task=final: both sides' answers become judge.json, the page and the metrics.

python -m ohlora.worker <attempt> --phase judge
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ohlora.config.tasks import JUDGE_FIRST, JUDGE_SECOND
from ohlora.files import read_json
from ohlora.judge.cost import describe_device, find_cost
from ohlora.judge.judging import SideAnswers, judge_answers
from ohlora.models.folder import ADAPTER_CARD
from ohlora.planning.plan import Plan
from ohlora.records.judgement import ADAPTER, BASE, Judgement, RuleResult, Side, write_judgement
from ohlora.records.result import find_result, read_phase
from ohlora.records.samples import read_samples
from ohlora.report.judge.write import write_judgement_page
from ohlora.tasks.job import Job
from ohlora.tasks.judge_side import find_side_adapter, list_seeds, samples_path

PHASES = (JUDGE_FIRST.name, JUDGE_SECOND.name)


def run(job: Job) -> None:
    """Judge the answers of this attempt; write judge.json, judge.html, judge.md and the `judge/…` metrics."""
    plan, config = job.plan, job.config
    seeds = list_seeds(plan)
    given = [
        SideAnswers(side, seed, read_samples(samples_path(job.attempt, phase, seed)))
        for side, phase in enumerate(PHASES)
        for seed in seeds
    ]
    job.stage("judging the answers")
    training = [row for row in plan.rows if row.split == "train"]
    prompts, rules = judge_answers(plan.run_rows.prompts, given, config.persona, training)
    first, second = (read_phase(job.attempt / "phases" / f"{phase}.json") for phase in PHASES)
    merged = [_is_merged(read.effective, phase) for read, phase in zip((first, second), PHASES, strict=True)]
    adapter = find_side_adapter(plan, job.attempt, second=True)
    assert adapter is not None
    judgement = Judgement(
        sides=_name_sides(plan, job.attempt),
        rules=rules,
        prompts=prompts,
        model=config.model.label,
        device=describe_device(second.device),
        split=config.generation.split.value if config.generation.split else "train, validation",
        decoding=config.decoding.name,
        form="merged" if merged[1] else "unmerged",
        seeds=[seed for seed in seeds if seed is not None],
        cost=find_cost(adapter, Path(config.outputs), config.report.lang.value),
        statistics=["wilson", "newcombe" if len(seeds) == 1 else "clustered", "mcnemar", "holm"],
        notes=_notes(plan, adapter, merged),
        lang=config.report.lang.value,
    )
    write_judgement(job.attempt, judgement)
    write_judgement_page(job.attempt)
    for result in rules:
        _record(job, result)


def _record(job: Job, result: RuleResult) -> None:
    for side, share in (("first", result.first), ("second", result.second)):
        if share.value is not None:
            job.metric(f"judge/{side}/{result.rule}", share.value)


def _name_sides(plan: Plan, attempt: Path) -> tuple[Side, Side]:
    config = plan.config
    if plan.against_folder:
        first = _name_adapter(str(config.judge.against), plan.against_folder)
    else:
        first = Side(BASE, config.model.name)
    second = find_side_adapter(plan, attempt, second=True)
    assert second is not None
    return first, _name_adapter(config.adapter or str(attempt.parent), second)


def _shorten(path: str) -> str:
    """Relative to the folder that the run was started in, where it stands below it."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def _name_adapter(given: str, folder: Path) -> Side:
    """Named after its run, or else as it was given."""
    result = find_result(folder.parent)
    run_id = result.run_id if result else folder.parent.parent.name if folder.name == "adapter" else ""
    return Side(ADAPTER, run_id or Path(given).name or given, _shorten(given), run_id)


def _is_merged(effective: dict[str, Any], phase: str) -> bool:
    return bool((effective.get(phase) or {}).get("adapter_merged"))


def _notes(plan: Plan, adapter: Path, merged: list[bool]) -> list[str]:
    """What the reader has to know."""
    found = []
    if plan.against_folder and merged[0] != merged[1]:
        found.append("One adapter was merged into the weights and the other was not, so rounding differs between them.")
    if not plan.task.trains:
        card = adapter / ADAPTER_CARD
        trained_on = read_json(card).get("data_hash") if card.is_file() else None
        if trained_on is None:
            found.append(
                "The adapter does not say which data it was trained on; memorised answers were looked for in the "
                "training rows of this run's data."
            )
        elif trained_on != plan.data_hash:
            found.append(
                "The adapter was trained on other data than these: held-out rows may have been among its training "
                "rows, and memorised answers of its own data are not seen."
            )
    return found
