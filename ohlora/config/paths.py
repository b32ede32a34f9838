"""Find `conf/`: inside the package when installed from a wheel, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def conf_dir() -> Path:
    """The absolute path of `conf/`, whatever the working directory."""
    for candidate in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise FileNotFoundError(f"no conf/config.yaml in {PACKAGE} or beside it: the installation is incomplete")


def groups() -> list[str]:
    """The names of the configuration groups, sorted: the folders of `conf/`."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def options(group: str) -> list[str]:
    """The option names of a group, sorted: the YAML files of its folder."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
