"""A scripted controller for FrankaKitchen: one skill per sub-task, strung together in any order."""

from smac.data.kitchen_controller.controller import KitchenController
from smac.data.kitchen_controller.orders import MIXTURES, Mixture, draw_order
from smac.data.kitchen_controller.skills import SKILLS

__all__ = ["MIXTURES", "SKILLS", "KitchenController", "Mixture", "draw_order"]
