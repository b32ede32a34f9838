"""What reading did to a data file: cells changed, rows dropped or cut, and what was assumed; shown and written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

SHOWN_LINES = 8  # of one note on screen


@dataclass(frozen=True)
class Place:
    """A line of a file. `file`: its name, '' if the data are one file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}: line {self.line}" if self.file else f"line {self.line}"


@dataclass
class Notes:
    """Text of a note -> the places that it holds for, in three kinds; `notes` are sentences about the whole."""

    changed: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    dropped: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    cut: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a sentence about the whole file, once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """One line of text for each note, with counts and the first places."""
        found = list(self.notes)
        for kind in (self.changed, self.dropped, self.cut):
            for text, places in kind.items():
                shown = ", ".join(str(place) for place in places[:SHOWN_LINES])
                more = f" and {len(places) - SHOWN_LINES} more" if len(places) > SHOWN_LINES else ""
                found.append(f"{text}: {len(places)} ({shown}{more})")
        return found

    def record(self) -> dict[str, object]:
        """The form of notes.json: each note with its count and its places."""
        kinds = {"changed": self.changed, "dropped": self.dropped, "cut": self.cut}
        return {
            **{
                name: [
                    {"what": text, "count": len(places), "lines": [vars(place) for place in places]}
                    for text, places in kind.items()
                ]
                for name, kind in kinds.items()
            },
            "notes": self.notes,
        }
