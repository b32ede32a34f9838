"""The allocator's setting where expandable segments would end every run: WSL2 and Tegra."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from ohlora.running.allocator import EXPANDABLE, PLAIN, allocator_setting
from ohlora.running.process import child_env


@pytest.mark.parametrize(
    ("release", "machine", "files", "setting"),
    [
        ("6.8.0-generic", "x86_64", {}, EXPANDABLE),
        ("5.15.153.1-microsoft-standard-WSL2", "x86_64", {}, PLAIN),
        ("6.8.0-generic", "x86_64", {"etc/nv_tegra_release": "x"}, EXPANDABLE),
        ("5.15.136-tegra", "aarch64", {"etc/nv_tegra_release": "x"}, PLAIN),
        ("5.15.0", "aarch64", {"proc/device-tree/compatible": "nvidia,p3737\0nvidia,tegra234\0"}, PLAIN),
        (
            "6.11.0",
            "aarch64",
            {"sys/class/dmi/id/product_name": "DGX Spark", "etc/nv_tegra_release": ""},
            EXPANDABLE,
        ),
        ("6.8.0", "aarch64", {"proc/device-tree/model": "Ampere Altra"}, EXPANDABLE),
    ],
)
def test_where_segments_can_be_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: str, machine: str, files: dict[str, str], setting: str
) -> None:
    for name in ("WSL_DISTRO_NAME", "WSL_INTEROP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "release", lambda: release)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert allocator_setting(tmp_path) == setting


def test_every_child_has_the_setting_even_where_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsloth fills an absent one with its own on WSL2; then the arms would differ."""
    monkeypatch.setenv("WSL_DISTRO_NAME", "Ubuntu")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "max_split_size_mb:64")
    assert child_env({})["PYTORCH_ALLOC_CONF"] == PLAIN
