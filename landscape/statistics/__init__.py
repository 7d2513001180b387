"""Numbers, error control and verdicts for returns along a path. NumPy and SciPy only.

Returns R [points, episodes] are measured on shared episode seeds (columns are paired), larger is better, and
alphas [points] increase with exactly 0 (*from*) and exactly 1 (*to*) among them. Every number is of the part
of the path with alpha in [0, 1]; between grid points the return is taken to be linear. Definitions are in
docs/landscape.md: §3 (numbers), §4 (verdicts), §9 (noise), §10 (monotonicity), §11 (seeds).

An episode that failed (a non-finite return) anywhere in [0, 1] is dropped at every point, never averaged
over, and then no verdict of "connected" or "monotone" is given: what was dropped may be the valley. Nor is it
given before so many episodes have been played that a failure of the size that matters would have shown.

| room | what it answers |
|---|---|
| `numbers` | what V, DD, barriers, dip, width and area of a curve are |
| `valley` | how deep the valley is without the bias of a minimum; bounds on its width and area |
| `path` | all of it for one path, with verdicts |
| `adaptive` | the same with episodes only where they are needed |
| `methods` | all of it for a method, with training runs as the unit |
| `seeds`, `comparison` | scalars over training runs: IQM, profiles, probability of improvement |
| `truths`, `doctor`, `calibration` | how often this installation is right where the truth is known |

Contrasts, their simultaneous bounds and the tests of monotonicity are those of `smac.statistics`, which
judges learning curves by them, too.
"""

from landscape.statistics.adaptive import Adaptive, AdaptiveReport, Stage, analyse_stages
from landscape.statistics.comparison import (
    Improvement,
    agreed,
    compare,
    holm,
    improvement,
    improvement_p_value,
    probability_of_improvement,
)
from landscape.statistics.doctor import Calibration, Case, calibrate
from landscape.statistics.methods import MethodReport, analyse_seeds
from landscape.statistics.numbers import (
    PathNumbers,
    below,
    inside,
    path_numbers,
    relative_depth,
)
from landscape.statistics.path import Limits, PathReport, analyse_path, falls, monotone_sentence, sentence
from landscape.statistics.seeds import Aggregate, Profile, Strata, aggregate, iqm, profile
from landscape.statistics.truths import TRUTHS, Gaussian, SuccessOrFailure, Truth
from landscape.statistics.valley import SPLITS, CrossfitValley, crossfit, width_and_area
from smac.statistics.bounds import (
    Bounds,
    Interval,
    pointwise,
    resampling_weights,
    simultaneous,
    verdict,
)
from smac.statistics.classical import wilson
from smac.statistics.contrasts import Array, Family, families
from smac.statistics.monotonicity import drawdown, monotone_p_value, trend_p_value
from smac.statistics.runs import over_runs

__all__ = [
    "SPLITS",
    "TRUTHS",
    "Adaptive",
    "AdaptiveReport",
    "Aggregate",
    "Array",
    "Bounds",
    "Calibration",
    "Case",
    "CrossfitValley",
    "Family",
    "Gaussian",
    "Improvement",
    "Interval",
    "Limits",
    "MethodReport",
    "PathNumbers",
    "PathReport",
    "Profile",
    "Stage",
    "Strata",
    "SuccessOrFailure",
    "Truth",
    "aggregate",
    "agreed",
    "analyse_path",
    "analyse_seeds",
    "analyse_stages",
    "below",
    "calibrate",
    "compare",
    "crossfit",
    "drawdown",
    "falls",
    "families",
    "holm",
    "improvement",
    "improvement_p_value",
    "inside",
    "iqm",
    "monotone_p_value",
    "monotone_sentence",
    "over_runs",
    "path_numbers",
    "pointwise",
    "probability_of_improvement",
    "profile",
    "relative_depth",
    "resampling_weights",
    "sentence",
    "simultaneous",
    "trend_p_value",
    "verdict",
    "width_and_area",
    "wilson",
]
