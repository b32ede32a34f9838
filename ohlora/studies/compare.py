"""A comparison: arms in interleaved pairs (AB BA AB BA), planned here; a later call resumes it.

python -m ohlora.run experiment=unsloth_comparison
python -m ohlora.run 'compare.arms=[lora=r16,lora=r64]' compare.pairs=8
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from ohlora.config.compose import compose_config, split_arguments
from ohlora.config.identity import flatten, select_measured, slug
from ohlora.config.schema import Config
from ohlora.data.rows import DataFiles
from ohlora.errors import UserError
from ohlora.files import sha256_of
from ohlora.planning.plan import Plan, plan_run, to_plain
from ohlora.records.manifest import EQUAL, MANIFEST, RECOMMENDED, Manifest, PlannedRun, read_manifest
from ohlora.running.preflight import check
from ohlora.studies.sweep import merge_problems


@dataclass(frozen=True)
class ArmSpec:
    """One arm of a comparison: its name and its overrides."""

    track: str
    name: str
    overrides: tuple[str, ...]


def parse_arms(config: Config) -> list[ArmSpec]:
    """The arms of both tracks, each with a unique name.

    Raises:
        UserError: fewer than two arms, or a name without overrides.
    """
    found: list[ArmSpec] = []
    for track, key in ((EQUAL, "arms"), (RECOMMENDED, "recommended")):
        texts = getattr(config.compare, key)
        if len(texts) == 1:
            raise UserError(f"compare.{key}={texts}: one arm only; a comparison needs two or more")
        for text in texts:
            named = re.match(r"([^=]+?):\s+(.+)", text)
            name, overrides = (named[1], named[2]) if named else (text.strip(), text)
            if not overrides.strip():
                raise UserError(f"compare.{key}={texts}: an arm is empty; give its overrides, such as backend=hf")
            alike = re.compile(re.escape(name) + r"( \(\d+\))?")
            same = sum(alike.fullmatch(arm.name) is not None for arm in found if arm.track == track)
            found.append(ArmSpec(track, f"{name} ({same + 1})" if same else name, tuple(split_arguments(overrides))))
    return found


def interleave(arms: Sequence[ArmSpec], pairs: int) -> Iterator[tuple[ArmSpec, int]]:
    """(arm, pair) in the order of execution: one track after the other, every second pair in reverse order."""
    for _, group in groupby(arms, key=lambda arm: arm.track):
        members = list(group)
        for pair in range(pairs):
            yield from ((arm, pair) for arm in (members if pair % 2 == 0 else members[::-1]))


@dataclass
class ComparisonPlan:
    """A checked comparison, ready to start: its folder, its arms' configurations, its runs in order.

    `seeds`: the seed of each arm's first pair; in the tracks of `moving` each further pair adds 1, in both arms.
    """

    folder: Path
    config: Config
    jobs: list[PlannedRun]
    nodes: dict[tuple[str, str], DictConfig]
    before: Manifest | None
    files: DataFiles
    seeds: dict[tuple[str, str], int]
    moving: set[str]

    def manifest(self, command: Sequence[str], parent: str | None) -> Manifest:
        """The manifest of this call, plus the runs that an earlier call with more pairs planned."""
        here = {job.run_id for job in self.jobs}
        more = [job for job in self.before.jobs if job.run_id not in here] if self.before else []
        return Manifest("pairs", [*self.jobs, *more], list(command), self.config.report.lang.value, parent)

    def arm_plans(self) -> list[Plan]:
        """One plan per arm: that of its first pair."""
        return [self.plan_of(job) for job in self.jobs if job.repeat == 0]

    def plan_of(self, job: PlannedRun) -> Plan:
        """A new plan for this run; it sees what earlier runs prepared."""
        seed = self.seeds[job.track, job.arm] + (job.repeat if job.track in self.moving else 0)
        return plan_run(self.nodes[job.track, job.arm], self.files, arm=job.arm, repeat=job.repeat, seed=seed)


def plan_comparison(config: Config, overrides: Sequence[str], folder: Path | None) -> ComparisonPlan:
    """Compose and check every run of the comparison; without `folder`, `study` names it.

    Raises:
        UserError: every problem of every arm; or the folder contains another comparison.
    """
    arms = parse_arms(config)
    nodes: dict[tuple[str, str], DictConfig] = {}
    problems: list[str] = []
    files = DataFiles()
    for arm in arms:
        varied = {o.lstrip("+~").split("=")[0] for o in arm.overrides} | {"repeat", "arm"}
        base = [o for o in overrides if o.lstrip("+~").split("=")[0] not in varied]
        within = [o for o in base if o.lstrip("+~").split(".")[0] in varied]
        problems += [f"[{arm.name}] {o}: the arm sets this whole group; set it in compare.arms" for o in within]
        try:
            node = compose_config([*base, *arm.overrides])
            check(plan_run(node, files, arm=arm.name), alone=False)
            nodes[arm.track, arm.name] = node
        except UserError as error:
            problems += [f"[{arm.name}] {problem}" for problem in error.problems]
    if problems:
        raise UserError(merge_problems(problems, len(arms)))
    seeds = {key: int(node.seed) for key, node in nodes.items()}
    made = ComparisonPlan(Path(), config, [], nodes, None, files, seeds, find_moving_tracks(nodes))
    for arm, pair in interleave(arms, config.compare.pairs):
        job = PlannedRun([*overrides, *arm.overrides, f"repeat={pair}"], arm.name, pair, "", arm.track)
        made.jobs.append(made.plan_of(job).record_request(job))
    made.folder = folder or Path(config.outputs) / _study(config, made.jobs)
    made.before = _read_earlier_manifest(made)
    return made


def find_moving_tracks(nodes: Mapping[tuple[str, str], DictConfig]) -> set[str]:
    """The tracks whose arms differ in more than `backend` and `launch`.

    There the result depends on the seed, and pairs with the same seed would repeat one observation.
    """
    found = set()
    for track, _ in nodes:
        settings = [flatten(select_measured(to_plain(node))) for (other, _), node in nodes.items() if other == track]
        keys = {key for one in settings for key in one if any(key not in o or o[key] != one[key] for o in settings)}
        if any(key.split(".")[0] not in ("backend", "launch") for key in keys):
            found.add(track)
    return found


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: one process at a time.

    Raises:
        UserError: another process holds it; or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".running.lock", blocking=False):
            yield
    except Timeout:
        raise UserError(f"{folder}: another process is running this; wait for it, or give study=<name>") from None


def _read_earlier_manifest(comparison: ComparisonPlan) -> Manifest | None:
    """The manifest already in the folder, if it belongs to this comparison."""
    folder, jobs = comparison.folder, comparison.jobs
    other = f"{folder}: contains {{}}; give study=<another name>, or remove that folder"
    try:
        before = read_manifest(folder)
    except ValueError as error:
        raise UserError(other.format(f"a {MANIFEST} that cannot be read ({error})")) from None
    if before is None:
        if any(folder.glob("*/result.json")) or any(folder.glob("*/attempt-*")):
            raise UserError(other.format("other runs"))
        return None
    planned = [job for job in before.jobs if not job.redo]
    both = min(max(job.repeat for job in side) for side in (planned, jobs))
    ids = [{job.run_id for job in side if job.repeat <= both} for side in (planned, jobs)]
    if before.kind != "pairs" or ids[0] != ids[1]:
        raise UserError(other.format("another comparison (other arms or settings)"))
    return before


def _study(config: Config, jobs: Sequence[PlannedRun]) -> str:
    """The folder's name: the study, or else made from the arms, so that the same command finds it again."""
    if config.study != "runs":
        return config.study
    first = [job for job in jobs if job.repeat == 0]
    names = "-vs-".join(slug(job.arm) for job in first)
    return f"compare-{names[:60]}-{sha256_of(job.run_id for job in first)[:6]}"
