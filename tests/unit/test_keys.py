"""Every key of the configuration is read by some code, told by the types: `.name` of something else does not count."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from ohlora.config.paths import PACKAGE

# Where keys are declared, and what the data's columns become.
DECLARED = (PACKAGE / "config" / "schema.py", PACKAGE / "data" / "rows.py")
# A group's name says in result.json which option was chosen; code reads it there, as text.
NAMES = {("TrainerConfig", "name"), ("GenerationConfig", "name")}
PLANTED = ("LoraConfig", "planted")


def hide_fields(source: str) -> tuple[str, set[tuple[str, str]]]:
    """The module with every field of its dataclasses but groups under another name; (class, field) of each."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.decorator_list]
    own = {node.name for node in classes}
    hidden = set()
    for node in classes:
        if node.name == PLANTED[0]:
            node.body.extend(ast.parse(f"{PLANTED[1]}: int = 0").body)
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and ast.unparse(field.annotation).removesuffix(" | None") not in own:
                assert isinstance(field.target, ast.Name)
                hidden.add((node.name, field.target.id))
                field.target.id = f"hidden_{field.target.id}"
    return ast.unparse(tree), hidden


def test_no_key_is_dead(tmp_path: Path) -> None:
    """With its field hidden, each place that reads a key is an error of mypy's; a key without one is dead."""
    declared, shadows = set(), []
    for path in DECLARED:
        text, fields = hide_fields(path.read_text("utf-8"))
        (tmp_path / path.name).write_text(text, "utf-8")
        shadows += ["--shadow-file", str(path), str(tmp_path / path.name)]
        declared |= fields
    command = [sys.executable, "-m", "mypy", "--cache-dir=/dev/null", "--follow-imports=skip", *shadows]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    read = set(re.findall(r'"(\w+)" has no attribute "(\w+)"', done.stdout))
    assert len(declared) > 90, "the fields are not found"
    assert declared - read == {*NAMES, PLANTED}, done.stderr
