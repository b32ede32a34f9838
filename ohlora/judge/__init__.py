"""Judging answers: rules, a probe of plain knowledge, statistics, and what fine-tuning cost."""
