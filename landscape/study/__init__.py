"""The verbs of the toolkit as plain functions; each returns a frozen result with `to_json` and `write`."""

from landscape.evaluate import Evaluation
from landscape.study.alignment import AlignmentStudy, align
from landscape.study.charts import Chart, Choice, View
from landscape.study.common import Incomplete, Margin, Study, failures, fields_of
from landscape.study.curve import CurveStudy, curve
from landscape.study.interpolation import Interpolation, interpolate
from landscape.study.pairs import look_up
from landscape.study.plane import PlaneStudy, plane
from landscape.study.projection import ProjectionStudy, project
from landscape.study.report import ConnectivityReport, report
from landscape.study.search import Search
from landscape.study.trajectory import Trajectory, trajectory

__all__ = [
    "AlignmentStudy",
    "Chart",
    "Choice",
    "ConnectivityReport",
    "CurveStudy",
    "Evaluation",
    "Incomplete",
    "Interpolation",
    "Margin",
    "PlaneStudy",
    "ProjectionStudy",
    "Search",
    "Study",
    "Trajectory",
    "View",
    "align",
    "curve",
    "failures",
    "fields_of",
    "interpolate",
    "look_up",
    "plane",
    "project",
    "report",
    "trajectory",
]
