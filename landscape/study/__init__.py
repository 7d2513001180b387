"""The verbs of the toolkit as plain functions; each returns a frozen result with `to_json` and `write`."""

from landscape.evaluate import Evaluation
from landscape.study.common import Incomplete, Margin, Study, failures, fields_of
from landscape.study.interpolation import Interpolation, interpolate

__all__ = [
    "Evaluation",
    "Incomplete",
    "Interpolation",
    "Margin",
    "Study",
    "failures",
    "fields_of",
    "interpolate",
]
