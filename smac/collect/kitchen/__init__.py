"""A scripted controller for FrankaKitchen: one skill per sub-task, strung together in any order."""

from smac.collect.kitchen.controller import KitchenController
from smac.collect.kitchen.orders import MIXTURES, Mixture, draw_order
from smac.collect.kitchen.skills import SKILLS

__all__ = ["MIXTURES", "SKILLS", "KitchenController", "Mixture", "draw_order"]
