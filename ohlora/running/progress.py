"""Show progress: bars at a terminal, plain lines in a log. On stderr, so that the table can be piped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol


class Display(Protocol):
    def event(self, event: dict[str, Any]) -> None: ...
    def line(self, text: str) -> None: ...


@contextlib.contextmanager
def show_progress(title: str) -> Iterator[Display]:
    """Show the events of one run under this title until the block ends."""
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True)
    console.rule(Text(title), align="left", style="cyan")
    columns = (
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress)


def _ending(event: dict[str, Any]) -> str:
    reason = event.get("reason") or {}
    text = f"{event['phase']}: {event['status']}"
    return f"{text} ({reason['text']})" if reason else text


class _Bars:
    def __init__(self, progress: Any) -> None:
        self.progress, self.task, self.phase = progress, None, ""

    def line(self, text: str) -> None:
        self.progress.console.print(text, style="dim", highlight=False, markup=False)

    def event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "process":
            self.phase = event["phase"]
            self._stage("starting a fresh process", None)
        elif kind == "stage":
            self._stage(event["name"], event.get("total"))
        elif kind == "progress" and self.task is not None:
            note = f"loss {float(event['loss']):.3f}" if "loss" in event else ""
            self.progress.update(self.task, completed=event["done"], note=note)
        elif kind == "note":
            self.line(f"{self.phase}: {event['text']}")
        elif kind == "end":
            self._finish()
            if event["status"] != "finished":
                self.progress.console.print(_ending(event), style="bold red", highlight=False, markup=False)

    def _stage(self, name: str, total: int | None) -> None:
        self._finish()
        from rich.markup import escape

        self.task = self.progress.add_task(escape(f"{self.phase}: {name}"), total=total, note="")

    def _finish(self) -> None:
        if self.task is not None:
            shown = next(task for task in self.progress.tasks if task.id == self.task)
            total = shown.total or 1
            self.progress.update(self.task, total=total, completed=shown.completed if shown.total else total)
            self.progress.stop_task(self.task)
            self.task = None


class _Lines:
    EVERY_S = 10.0

    def __init__(self, title: str) -> None:
        self.phase, self.stage, self.total, self.said = "", "", None, 0.0
        self._print(title)

    def line(self, text: str) -> None:
        self._print(f"  {text}")

    def event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "process":
            self.phase = event["phase"]
        elif kind == "stage":
            self.stage, self.total, self.said = event["name"], event.get("total"), time.monotonic()
            unit = event["unit"] if event["unit"] == "MiB" else f"{event['unit']}s"
            count = f" ({self.total} {unit})" if self.total else ""
            self._print(f"  {self.phase}: {self.stage}{count}")
        elif kind == "progress" and (event["done"] == self.total or time.monotonic() - self.said > self.EVERY_S):
            self.said = time.monotonic()
            loss = f", loss {float(event['loss']):.3f}" if "loss" in event else ""
            self._print(f"  {self.phase}: {self.stage} {event['done']}/{self.total}{loss}")
        elif kind == "note":
            self._print(f"  {self.phase}: {event['text']}")
        elif kind == "end":
            self._print(f"  {_ending(event)}")

    @staticmethod
    def _print(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
