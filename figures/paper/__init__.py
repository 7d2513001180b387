"""The paper's figures and tables, each drawn from the directory of a reproduction and its description."""

from figures.paper import ablation, connectivity, fig1, fig2, retain, switch, transfer, tsne
from figures.paper.description import Benchmark, PaperFigure, Reproduction, Variant

FIGURES = {
    figure.name: figure
    for figure in (
        PaperFigure("transfer", "learning curves across the switch (C1 to C3)", transfer.draw),
        PaperFigure(
            "connectivity",
            "verdicts on the line and along the path that was taken (C4, C5)",
            connectivity.draw,
        ),
        PaperFigure("fig1", "reward surfaces (C6)", fig1.draw),
        PaperFigure("tsne", "the ways that fine-tuning took, in two dimensions", tsne.draw),
        PaperFigure("fig2", "size of the dataset (C7)", fig2.draw),
        PaperFigure("ablation", "what each part of SMAC is worth (C8)", ablation.draw),
        PaperFigure("retain", "half of every online batch from the offline data", retain.draw),
        PaperFigure("switch", "what the actor's steps after the switch cost", switch.draw),
    )
}

__all__ = ["FIGURES", "Benchmark", "PaperFigure", "Reproduction", "Variant"]
