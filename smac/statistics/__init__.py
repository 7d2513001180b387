"""Statistics that training and landscapes both need: bounds, tests and the dip. NumPy and SciPy only.

They are about mean curves from episodes that are paired over the points of a curve: the policies of a line
(`landscape.statistics`, which builds on this room), or the evaluations of a training run. Imports go one way,
so what both need lives here.

| room | what it answers |
|---|---|
| `rare` | what episodes that showed no failure can exclude |
| `depth` | how deep a curve falls: bounds for the verdicts, either side as tight as it may be |
| `contrasts`, `bounds` | how well episodes determine a number of a curve, all its points at once |
| `runs` | the same with training runs as the unit |
| `monotonicity` | does the curve ever fall |
| `curve` | a verdict on that, for one run and for the mean of several |
| `seeds` | the mean over training runs of a number in a known range |
| `dip` | how far does it fall below its start, without the bias of a minimum |
"""
