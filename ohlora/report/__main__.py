"""Write the report again, from run folders alone; several folders or MLflow runs are put side by side.

python -m ohlora.report outputs/<study>
python -m ohlora.report outputs/<study> t4/outputs/<study> mlflow:<run id> --out all-machines
python -m ohlora.report outputs/runs/<run_id of task=judge>
python -m ohlora.report outputs/model_selection --weights quality=0.6,memory=0.2,time=0.2 --grades grades.csv
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from ohlora.entry import replace_unprintable
from ohlora.errors import UserError
from ohlora.report.comparison.comparison import read_comparison
from ohlora.report.comparison.machines import write_several
from ohlora.report.comparison.write import write_comparison
from ohlora.report.curve.curve import is_curve
from ohlora.report.curve.write import write_curve
from ohlora.report.judge.write import find_judgement, write_judgement_page
from ohlora.report.selection.ranking import parse_weights
from ohlora.report.selection.selection import is_selection
from ohlora.report.selection.write import write_selection

MLFLOW = "mlflow:"


def main() -> int:
    """The exit code of the runs; 2 if there is nothing to report."""
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ohlora.report",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="+", metavar="folder", help="a study's folder, a run directory, or mlflow:<id>"
    )
    parser.add_argument("--lang", choices=("en", "ko"), help="default: that of the runs; also report.lang=ko")
    parser.add_argument(
        "--out", type=Path, help="where to write (default: one folder into itself, several into outputs/side-by-side)"
    )
    parser.add_argument(
        "--tracking-uri", help="the store of mlflow:<id> (default: MLFLOW_TRACKING_URI, else mlflow.db here)"
    )
    parser.add_argument("--weights", help="of a model selection: quality=…,memory=…,time=…,grade=…; not named is 0")
    parser.add_argument("--grades", type=Path, help="of a model selection: a person's grades (model,rank,grade 1-5)")
    given = parser.parse_intermixed_args([re.sub("^report[.]lang=", "--lang=", text) for text in sys.argv[1:]])
    folders: list[str] = given.folders
    try:
        with tempfile.TemporaryDirectory() as taken:
            read = [_local(text, Path(taken), given.tracking_uri) for text in folders]
            in_place = len(folders) == 1 and not folders[0].startswith(MLFLOW) and given.out is None
            out = None if in_place else given.out or Path("outputs") / "side-by-side"
            code, text = _write(read, given.lang, out, given.weights, given.grades)
            print(text)
            return code
    except UserError as error:
        print(error.report(), file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


def _local(text: str, into: Path, uri: str | None) -> Path:
    """The given folder, or the folder that an MLflow run is fetched into."""
    if not text.startswith(MLFLOW):
        return Path(text)
    from ohlora.tracking.fetch import fetch

    return fetch(text.removeprefix(MLFLOW), into, uri)


def _are_selections(folders: list[Path], needed: bool) -> bool:
    """Are these folders model selections?

    Raises:
        UserError: only some are, or none is although it is `needed`.
    """
    others = [folder for folder in folders if not is_selection(folder)]
    if others and (needed or len(others) < len(folders)):
        why = "--weights and --grades need one" if needed else "it cannot be reported together with one"
        raise UserError(f"{others[0]}: is no model selection; {why}")
    return not others


def _write(
    folders: list[Path], lang: str | None, out: Path | None, weights: str | None, grades: Path | None
) -> tuple[int, str]:
    """The exit code and what is printed. `out` None: the only folder itself."""
    judged = [folder for folder in folders if find_judgement(folder)]
    if judged and (weights or grades or len(folders) > 1):
        raise UserError(f"{judged[0]}: is a judged run; report it alone, without --weights and --grades")
    if judged:
        return 0, write_judgement_page(folders[0], lang, out)
    if _are_selections(folders, needed=bool(weights or grades)):
        return write_selection(folders, lang, out, parse_weights(weights) if weights else None, grades)
    if len(folders) == 1 and is_curve(folders[0]):
        return write_curve(folders[0], lang, out)
    if len(folders) == 1:
        comparison, text = write_comparison(folders[0], lang, out)
        return comparison.exit_code(), text
    assert out is not None
    comparisons = [read_comparison(folder, lang) for folder in folders]
    codes = {comparison.exit_code() for comparison in comparisons}
    return next(code for code in (130, 1, 2, 0) if code in codes), write_several(comparisons, out)


if __name__ == "__main__":
    sys.exit(main())
