"""The paper's figures and tables, each with the commands that it needs and what is drawn from them."""

from figures.paper import ablation, connectivity, fig1, fig2, retain, switch, transfer
from figures.paper.plan import PaperFigure, Step
from figures.paper.presets import POLICIES, PRESETS, Preset

FIGURES = {
    figure.name: figure
    for figure in (
        PaperFigure(
            "transfer", "learning curves across the switch (C1 to C3)", transfer.steps, transfer.draw
        ),
        PaperFigure(
            "connectivity",
            "verdicts on the line and along the path that was taken (C4, C5)",
            connectivity.steps,
            connectivity.draw,
        ),
        PaperFigure("fig1", "reward surfaces (C6)", fig1.steps, fig1.draw),
        PaperFigure("fig2", "size of the dataset (C7)", fig2.steps, fig2.draw),
        PaperFigure("ablation", "what each part of SMAC is worth (C8)", ablation.steps, ablation.draw),
        PaperFigure("retain", "half of every online batch from the offline data", retain.steps, retain.draw),
        PaperFigure("switch", "what the actor's steps after the switch cost", switch.steps, switch.draw),
    )
}

__all__ = ["FIGURES", "POLICIES", "PRESETS", "PaperFigure", "Preset", "Step"]
