"""Numbers -> plots as SVG text, by pure functions that know nothing of run folders."""
