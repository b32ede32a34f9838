"""backend=toy: a third back end, for tests. It runs as hf does and states other facts."""

from __future__ import annotations

from ohlora.backends.hf import HFBackend


class ToyBackend(HFBackend):
    name = "toy"
    label = "**Toy** back end"
    title = "Toy"
    libraries_mib = 77.0
    estimated_on = ("cpu",)
    checkpointing = ("none", "toy")
