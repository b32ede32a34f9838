"""The layout of a run directory: its attempts and its adapter."""

from __future__ import annotations

from pathlib import Path

from ohlora.errors import UserError

PLAN_FILE = "plan.json"  # beside config.yaml: the data hash that the child must find too
MLFLOW_RUN = "mlflow.json"  # in an attempt: the ids of its MLflow experiment and run


def adapter_folder(given: str) -> Path | None:
    """The adapter folder of a run directory (its newest attempt), of an attempt, or the given folder itself."""
    folder = Path(given)
    candidates = [folder, folder / "adapter", *(path / "adapter" for path in attempts(folder)[::-1])]
    return next((path for path in candidates if (path / "adapter_config.json").is_file()), None)


def attempts(run: Path) -> list[Path]:
    """The attempts of a run directory, oldest first."""
    found = [path for path in run.glob("attempt-*") if path.name[8:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[8:]))


def newest_attempt(directory: Path) -> Path:
    """The newest attempt of a run directory, or the given attempt itself.

    Raises:
        UserError: the folder is neither.
    """
    for candidate in [directory, *attempts(directory)[::-1]]:
        if (candidate / "config.yaml").is_file():
            return candidate
    raise UserError(f"{directory}: not a run directory; it has no config.yaml and no attempt-<number>")
