"""The setting of torch's GPU allocator, the same for every back end: expandable segments where they work.

They need the driver's virtual memory calls, which fail at the first allocation on WSL2 and Tegra boards (Jetson).
Unsloth removes the setting there; hf would crash (unslothai/unsloth#3511, #2401).
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

EXPANDABLE = "expandable_segments:True"
PLAIN = ""  # empty but set: if it is unset, Unsloth sets its own
BOARD_FILES = ("/proc/device-tree/model", "/proc/device-tree/compatible", "/sys/class/dmi/id/product_name")
TEGRA_RELEASE = "/etc/nv_tegra_release"
TEGRA, CAPABLE = ("tegra", "jetson"), ("dgx spark", "dgx-spark", "dgx_spark", "gb10")  # a Tegra that supports them


def allocator_setting(root: Path = Path("/")) -> str:
    """The value of PYTORCH_ALLOC_CONF on this machine; `root` is its file system."""
    return PLAIN if _is_wsl() or _is_tegra(root) else EXPANDABLE


def _is_wsl() -> bool:
    """Recognise WSL2 by its variables or, in a container without them, by its kernel."""
    named = os.environ.get("WSL_DISTRO_NAME") or os.environ.get("WSL_INTEROP")
    return bool(named) or "microsoft" in platform.release().lower()


def _is_tegra(root: Path) -> bool:
    if platform.machine().lower() not in ("aarch64", "arm64"):
        return False
    texts = []
    for name in BOARD_FILES:
        try:
            texts.append((root / name.lstrip("/")).read_bytes().replace(b"\0", b" ").decode("utf-8", "ignore").lower())
        except OSError:
            continue
    identity = " ".join(texts)
    if any(mark in identity for mark in CAPABLE):
        return False
    return (root / TEGRA_RELEASE.lstrip("/")).exists() or any(mark in identity for mark in TEGRA)
