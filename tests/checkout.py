"""What a user's runs leave in the checkout is out of the tests' reach; `.ci/run` plants some and shows it.

python tests/checkout.py plant    results, a model, accepted licences and an MLflow store; only where there are none
python tests/checkout.py remove   takes them away again; exit code 1 if anything read or changed them meanwhile
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("outputs", "models", "mlruns", "mlflow.db")
GUARDED = tuple(str(ROOT / name) for name in NAMES)
LIST = ".planted.json"
TOUCHED = "TESTS_TOUCHED_CHECKOUT"  # the file that the guard writes to, in this process and those forked from it
EVENTS = {
    "open", "os.chmod", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir",
    "os.symlink", "os.truncate", "os.utime", "sqlite3.connect",
}  # fmt: skip


class CheckoutTouched(AssertionError):
    """A test reached for the checkout's results, models or MLflow store."""


def guard(touched: Path) -> None:
    """This process cannot open, list or change them until TOUCHED goes from its environment.

    A try raises, and is written to `touched`.
    """
    os.environ[TOUCHED] = str(touched)
    sys.addaudithook(audit)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's own hook for everything that a process opens or changes."""
    if event not in EVENTS or TOUCHED not in os.environ:
        return
    for given in arguments[:2]:
        path = os.fsdecode(given) if isinstance(given, str | bytes | os.PathLike) else ""
        if event == "sqlite3.connect":
            path = path.removeprefix("file:").split("?")[0]
        path = os.path.abspath(path) if path else ""  # noqa: PTH100  (links need no following)
        if path.startswith(GUARDED) and any(path == own or path.startswith((f"{own}/", f"{own}-")) for own in GUARDED):
            with open(os.environ[TOUCHED], "a") as file:  # noqa: PTH123
                file.write(f"{event} {path}\n")
            raise CheckoutTouched(f"{event}: {path}: a test works in a folder of its own, never on the checkout's")


def plant(root: Path = ROOT) -> int:
    """As after `make compare`: with these a wrong reader finds all it looks for."""
    from ohlora.config.compose import compose_config
    from ohlora.data.tokens import Example, Tokens, save_tokens
    from ohlora.models import embedded
    from ohlora.models.acceptance import REMEMBERED
    from ohlora.models.folder import write_marker
    from ohlora.models.licences import LICENCES
    from ohlora.planning.plan import plan_run
    from ohlora.records.result import Result

    there = [name for name in (*NAMES, LIST) if (root / name).exists()]
    if there:
        print(f"not planted, since these are there: {', '.join(there)}", file=sys.stderr)
        return 0
    plan = plan_run(compose_config([]), outputs=str(root / "outputs"), models=str(root / "models"))
    config, model, rows = plan.config, plan.model_folder, plan.run_rows
    model.mkdir(parents=True)
    sizes = {"hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 4}
    described = {"architectures": [config.model.architecture], "vocab_size": 262144, **sizes}
    (model / "config.json").write_text(json.dumps({**described, "num_key_value_heads": 1, "head_dim": 256}))
    (model / "tokenizer.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(64))
    package, version = config.model.package, embedded.PACKAGES[str(config.model.package)].tokenizer_version
    write_marker(
        model, source="embedded", package=package, tokenizer_version=version, licence="gemma", label=config.model.label
    )
    accepted = {tag: {"version": entry.version, "accepted": "2026-01-01"} for tag, entry in LICENCES.items()}
    (root / "models" / REMEMBERED).write_text(json.dumps(accepted))
    lengths = enumerate(rows.train, start=12)
    examples = [Example(row.id, [2] * (9 + length), [-100] * 9 + [1] * length) for length, row in lengths]
    prompts = [(row.id, [2] * 60) for row in rows.prompts]
    tokens = Tokens(examples, examples[:2], prompts, stop_ids=[1], pad_id=0, truncated=[], hash="0" * 64)
    save_tokens(tokens, plan.tokens_path)
    for study in ("runs", "unsloth_comparison", "model_selection"):
        folder = root / "outputs" / study / "hf-r0-0123456789"
        folder.mkdir(parents=True)
        Result(folder.name, "finished", "benchmark", "backend=hf", metrics={"infer/infer_time_s": 1.0}).write(folder)
    (root / "mlruns").mkdir()
    (root / "mlruns" / "meta.yaml").write_text("name: ohlora\n")
    (root / "mlflow.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    (root / LIST).write_text(json.dumps(_state(root, reset=True)))
    return 0


def remove(root: Path = ROOT) -> int:
    """Only what was planted is taken away. Files that are there beside it stay, and are a failure."""
    if not (root / LIST).is_file():
        return 0
    before, after = json.loads((root / LIST).read_text()), _state(root)
    for name in sorted(before, reverse=True):
        path = root / name
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)
    (root / LIST).unlink()
    wrong = [f"{name}: read, changed or removed" for name, state in before.items() if after.get(name) != state]
    wrong += [f"{name}: is new" for name in after if name not in before]
    if not keeps_access_times(root):
        print("note: this file system keeps no times of reading, so only changes are found", file=sys.stderr)
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return 1 if wrong else 0


def keeps_access_times(folder: Path) -> bool:
    """Some file systems are mounted so that reading leaves no trace; there only changes are found."""
    probe = folder / ".probe"
    probe.write_text("x")
    os.utime(probe, (0, probe.stat().st_mtime))
    probe.read_text()
    seen = probe.stat().st_atime > 0
    probe.unlink()
    return seen


def _state(root: Path, reset: bool = False) -> dict[str, Any]:
    """Of every file its times and size; of every folder that it is there. `reset`: the last reading is long ago."""
    found: dict[str, Any] = {}
    for name in NAMES:
        top = root / name
        for path in [top, *sorted(top.rglob("*"))] if top.is_dir() else [top] if top.exists() else []:
            if reset and path.is_file():
                os.utime(path, (0, path.stat().st_mtime))
            told = path.stat()
            times = [told.st_atime_ns, told.st_mtime_ns, told.st_size] if path.is_file() else []
            found[str(path.relative_to(root))] = times
    return found


if __name__ == "__main__":
    sys.exit({"plant": plant, "remove": remove}[sys.argv[1]]())
