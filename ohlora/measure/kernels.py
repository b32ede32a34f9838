"""Can this torch build use a GPU of this compute capability? Decided by the architectures it was compiled for.

Binary code (sm_XY) runs on devices of the same major version and the same or a higher minor one; intermediate code
(compute_XY, PTX) is compiled by the driver for any device of that capability or more. A letter restricts it: `a` to
exactly that capability, `f` to its family, here the same major version.

Source: https://docs.nvidia.com/cuda/cuda-programming-guide/ (compute capabilities, binary and PTX compatibility).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ENTRY = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
CUDA_13_LEAST = (7, 5)  # CUDA 13 dropped older devices


def has_kernels(capability: tuple[int, int], compiled_for: Sequence[str]) -> bool:
    """`compiled_for`: torch.cuda.get_arch_list(). True if it lists no NVIDIA device, as in a build for AMD."""
    entries = [found for text in compiled_for if (found := ENTRY.fullmatch(text))]
    return not entries or any(_runs(capability, entry) for entry in entries)


def _runs(capability: tuple[int, int], entry: re.Match[str]) -> bool:
    kind, major, minor, letter = entry[1], int(entry[2]), int(entry[3]), entry[4]
    if letter == "a":
        return capability == (major, minor)
    same_family = capability[0] == major and capability[1] >= minor
    if kind == "sm" or letter == "f":
        return same_family
    return capability >= (major, minor)


def explain_missing(name: str, capability: tuple[int, int], compiled_for: Sequence[str], torch_build: str) -> str:
    """The message: the device's capability, this build's kernels, and what would work."""
    entries = [found for text in compiled_for if (found := ENTRY.fullmatch(text))]
    has = ", ".join(dict.fromkeys(f"{found[2]}.{found[3]}" for found in entries))
    number = f"{capability[0]}.{capability[1]}"
    which = " for CUDA 12, since CUDA 13 has dropped devices below 7.5" if capability < CUDA_13_LEAST else ""
    return (
        f"{name} has compute capability {number}, but this torch ({torch_build}) has kernels for {has} only; install a "
        f"torch build with sm_{capability[0]}{capability[1]}{which}, or give device=cpu"
    )
