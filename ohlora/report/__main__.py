"""python -m ohlora.report <sweep folder>: the table and comparison.{md,csv,json} again, from the run folders alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ohlora.errors import UserError
from ohlora.report.write import write_comparison


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ohlora.report", description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("folder", type=Path, help="a sweep folder (or one run directory), for example outputs/<study>")
    try:
        comparison, text = write_comparison(parser.parse_args().folder)
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(text)
    return comparison.exit_code()


if __name__ == "__main__":
    sys.exit(main())
