"""The verbs of the toolkit as plain functions; each returns a frozen result with `to_json` and `write`."""

from landscape.evaluate import Evaluation
from landscape.study.alignment import AlignmentStudy, align
from landscape.study.common import Incomplete, Margin, Study, failures, fields_of
from landscape.study.curve import CurveStudy, curve
from landscape.study.interpolation import Interpolation, interpolate
from landscape.study.search import Search

__all__ = [
    "AlignmentStudy",
    "CurveStudy",
    "Evaluation",
    "Incomplete",
    "Interpolation",
    "Margin",
    "Search",
    "Study",
    "align",
    "curve",
    "failures",
    "fields_of",
    "interpolate",
]
