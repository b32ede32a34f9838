"""The report again, from run folders alone; several folders or MLflow runs are put side by side.

python -m ohlora.report outputs/<study>
python -m ohlora.report outputs/<study> t4/outputs/<study> mlflow:<run id> --out all-machines
python -m ohlora.report outputs/model_selection --weights quality=0.6,memory=0.2,time=0.2 --grades grades.csv
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ohlora.errors import UserError
from ohlora.report.comparison.comparison import read_comparison
from ohlora.report.comparison.machines import write_several
from ohlora.report.comparison.write import write_comparison
from ohlora.report.selection.ranking import parse_weights
from ohlora.report.selection.selection import is_selection
from ohlora.report.selection.write import write_selection
from ohlora.terminal import replace_unprintable

LANGS = ("en", "ko")
MLFLOW = "mlflow:"


def main() -> int:
    """Exit code: that of the runs; 2 where there is nothing to report."""
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ohlora.report",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="+", metavar="folder", help="a study's folder, a run directory, or mlflow:<id>"
    )
    parser.add_argument("--lang", choices=LANGS, help="language (default: that of the runs; also report.lang=ko)")
    parser.add_argument(
        "--out", type=Path, help="where to write (default: one folder into itself, several into outputs/side-by-side)"
    )
    parser.add_argument(
        "--tracking-uri", help="the store of mlflow:<id> (default: MLFLOW_TRACKING_URI, else mlflow.db here)"
    )
    parser.add_argument("--weights", help="of a model selection: quality=…,memory=…,time=…,grade=…; not named is 0")
    parser.add_argument("--grades", type=Path, help="of a model selection: a person's grades (model,rank,grade 1-5)")
    given = parser.parse_args()
    languages = [text.removeprefix("report.lang=") for text in given.folders if text.startswith("report.lang=")]
    folders = [text for text in given.folders if not text.startswith("report.lang=")]
    if not folders:
        parser.error("give at least one folder")
    lang = given.lang or next(iter(languages), None)
    if lang is not None and lang not in LANGS:
        parser.error(f"report.lang={lang}: choose from {', '.join(LANGS)}")
    try:
        with tempfile.TemporaryDirectory() as taken:
            read = [_local(text, Path(taken), given.tracking_uri) for text in folders]
            in_place = len(folders) == 1 and not folders[0].startswith(MLFLOW) and given.out is None
            out = None if in_place else given.out or Path("outputs") / "side-by-side"
            code, text = _write(read, lang, out, given.weights, given.grades)
            print(text)
            return code
    except UserError as error:
        print(error.report(), file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


def _local(text: str, into: Path, uri: str | None) -> Path:
    """A folder as it is; an MLflow run as the folder it is fetched into."""
    if not text.startswith(MLFLOW):
        return Path(text)
    from ohlora.tracking.fetch import fetch

    return fetch(text.removeprefix(MLFLOW), into, uri)


def _of_selection(folders: list[Path], asked: bool) -> bool:
    """Are these folders model selections?

    Raises:
        UserError: some are, or `asked` of folders that are not.
    """
    others = [folder for folder in folders if not is_selection(folder)]
    if others and (asked or len(others) < len(folders)):
        why = "--weights and --grades are" if asked else "other folders here are"
        raise UserError(f"{others[0]}: is no model selection; {why} of a model selection")
    return not others


def _write(
    folders: list[Path], lang: str | None, out: Path | None, weights: str | None, grades: Path | None
) -> tuple[int, str]:
    """The exit code and what is printed. `out` None: the only folder itself."""
    if _of_selection(folders, asked=bool(weights or grades)):
        return write_selection(folders, lang, out, parse_weights(weights) if weights else None, grades)
    if len(folders) == 1:
        comparison, text = write_comparison(folders[0], lang, out)
        return comparison.exit_code(), text
    assert out is not None
    comparisons = [read_comparison(folder, lang) for folder in folders]
    codes = {comparison.exit_code() for comparison in comparisons}
    return next(code for code in (130, 1, 2, 0) if code in codes), write_several(comparisons, out)


if __name__ == "__main__":
    sys.exit(main())
