"""manifest.json: what a sweep or a comparison planned, written before its first run starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from ohlora.errors import UserError
from ohlora.files import read_json, write_json

MANIFEST = "manifest.json"
SCHEMA = 1
EQUAL, RECOMMENDED = "equal", "recommended"
TRACKS = ("", EQUAL, RECOMMENDED)
SWEEP: Final = "sweep"
PAIRS: Final = "pairs"
SELECTION: Final = "selection"
CURVE: Final = "curve"
SEEDED = (PAIRS, CURVE)  # in these, runs of one arm differ in a planned seed
Kind = Literal["sweep", "pairs", "selection", "curve"]


@dataclass(frozen=True)
class PlannedRun:
    """One planned run. `overrides` is its command line; `track` is '' outside a comparison.

    `asked` is the configuration that `run_id` hashes, 'lora.rank' -> 16; empty in manifests of older versions.
    `redo` counts how often its pair was repeated because of a disturbance.
    """

    overrides: list[str]
    arm: str
    repeat: int
    run_id: str
    track: str = ""
    asked: dict[str, Any] = field(default_factory=dict, hash=False)
    redo: int = 0

    def make_again(self) -> PlannedRun:
        """The same run once more, in another folder."""
        again, base = self.redo + 1, self.run_id.removesuffix(f"-redo{self.redo}")
        return replace(self, run_id=f"{base}-redo{again}", redo=again)


@dataclass(frozen=True)
class Manifest:
    """The planned runs of a study. The first arm of a track is its baseline."""

    kind: Kind
    jobs: list[PlannedRun]
    command: list[str]
    lang: str = "en"
    mlflow_parent: str | None = None

    def arms(self) -> list[tuple[str, str, list[str]]]:
        """(track, arm, its overrides), in the order in which the arms first appear."""
        found: dict[tuple[str, str], list[str]] = {}
        for job in sorted(self.jobs, key=lambda job: job.repeat):
            found.setdefault((job.track, job.arm), [o for o in job.overrides if not o.startswith("repeat=")])
        return [(track, arm, overrides) for (track, arm), overrides in found.items()]

    def write(self, folder: Path) -> None:
        """Write it into the folder, creating that.

        Raises:
            UserError: the folder is not writable.
        """
        shared = _shared_settings(self.jobs)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(
                folder / MANIFEST,
                {
                    "schema": SCHEMA,
                    "kind": self.kind,
                    "lang": self.lang,
                    "command": self.command,
                    "arms": [{"track": t, "name": a, "overrides": o} for t, a, o in self.arms()],
                    "asked": shared,
                    "planned": [{**asdict(job), "asked": _other_settings(job, shared)} for job in self.jobs],
                    "mlflow_parent": self.mlflow_parent,
                },
            )
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None


def read_manifest(folder: Path) -> Manifest | None:
    """Read the folder's manifest; None if there is none.

    Raises:
        ValueError: it is not a readable manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        raw: dict[str, Any] = read_json(path)
        if raw["schema"] != SCHEMA:
            raise ValueError(f"schema {raw['schema']}, not {SCHEMA}")
        jobs = [_job(entry, raw.get("asked", {})) for entry in raw["planned"]]
        kind: Kind = raw["kind"] if raw.get("kind") in (PAIRS, SELECTION, CURVE) else SWEEP
        lang = "ko" if raw.get("lang") == "ko" else "en"
        return Manifest(kind, jobs, list(raw.get("command", [])), lang, raw.get("mlflow_parent"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{MANIFEST}: {type(error).__name__}: {error}") from None


def _shared_settings(jobs: list[PlannedRun]) -> dict[str, Any]:
    """The settings that all runs share, written only once; runs from older manifests are ignored."""
    first, *others = [job.asked for job in jobs if job.asked] or [{}]
    return {key: value for key, value in first.items() if all(key in o and o[key] == value for o in others)}


def _other_settings(job: PlannedRun, shared: dict[str, Any]) -> dict[str, Any] | None:
    """The settings of a run that are not shared; None if unknown."""
    return {key: value for key, value in job.asked.items() if key not in shared} if job.asked else None


def _job(entry: dict[str, Any], shared: dict[str, Any]) -> PlannedRun:
    overrides = [str(o) for o in entry.get("overrides", [])]
    own = entry.get("asked")
    asked = {} if own is None else {**shared, **own}
    job = PlannedRun(overrides, entry["arm"], entry.get("repeat", 0), entry["run_id"], entry.get("track", ""), asked)
    job = replace(job, redo=int(entry.get("redo", 0)))
    texts = (job.arm, job.run_id, job.track)
    if not all(isinstance(text, str) for text in texts) or not isinstance(job.repeat, int) or job.track not in TRACKS:
        raise ValueError(f"not a planned run: {entry}")
    return job
