"""An answer as it should be breaks no rule: so a rule that is broken means something.

Run: python -m pytest tests/unit/test_judged_references.py
"""

from __future__ import annotations

from ohlora.config.compose import compose_config
from ohlora.data.rows import DataFiles
from ohlora.judge.rules import Answered, find_rules
from ohlora.planning.validate import validate


def test_every_reference_answer_keeps_every_rule() -> None:
    config = validate(compose_config(["data=persona", "persona=ohlora"]))
    persona = config.persona
    held_out = [row for row in DataFiles().rows(config.data) if row.split != "train"]
    found = find_rules([Answered(row, row.response, True) for row in held_out], persona, [])
    broken = [
        (row.id, finding.rule, row.question, row.response, finding.evidence)
        for row, findings in zip(held_out, found, strict=True)
        for finding in findings
        if not finding.kept
    ]
    assert not broken
    rules = {finding.rule for findings in found for finding in findings}
    assert len(rules) == 20, rules
