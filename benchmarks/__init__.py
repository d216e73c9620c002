"""Measurements: `python -m benchmarks`. Only ratios within one run mean anything; see README.md."""
