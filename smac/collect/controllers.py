"""A waypoint controller for mazes: breadth-first search on the map, proportional-derivative tracking."""

from collections import deque
from collections.abc import Sequence
from functools import cache

import numpy as np

WALL = 1
Cell = tuple[int, int]


def distances_to(maze_map: Sequence[Sequence[int | str]], goal: Cell) -> np.ndarray:
    """Steps from every cell to `goal` by breadth-first search, int64 [rows, columns].

    Cells are (row, column) as in the maze map, moves go to the four neighbours; walls and cells cut off from
    the goal hold -1.
    """
    distance = np.full((len(maze_map), len(maze_map[0])), -1, dtype=np.int64)
    distance[goal] = 0
    queue = deque([goal])
    while queue:
        cell = queue.popleft()
        for row, column in _neighbours(cell):
            if maze_map[row][column] != WALL and distance[row, column] < 0:
                distance[row, column] = distance[cell] + 1
                queue.append((row, column))
    return distance


def _neighbours(cell: Cell) -> list[Cell]:
    """The four neighbours; maps are walled all round, so no cell that is reached lies on the rim."""
    row, column = cell
    return [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]


class WaypointController:
    """Steers along a shortest path of cells; stateless, so it works from any state.

    `action` drives PointMaze's ball; `waypoint` serves any body.

    Args:
        maze_map: rows of cells, 1 for a wall.
        gain: force per unit of distance to the next waypoint.
        damping: force against unit velocity.
        cell_size: width of a cell; 1 in PointMaze, 4 in AntMaze.
    """

    def __init__(
        self,
        maze_map: Sequence[Sequence[int | str]],
        gain: float = 10.0,
        damping: float = 1.0,
        cell_size: float = 1.0,
    ):
        self.maze_map = maze_map
        self.gain = gain
        self.damping = damping
        self.cell_size = cell_size
        self._distances = cache(lambda goal: distances_to(maze_map, goal))

    def action(self, observation: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Force [2] in [-1, 1] towards `target` (x, y), from a flat observation (x, y, vx, vy, ...)."""
        position, velocity = observation[:2], observation[2:4]
        offset = self.waypoint(position, target) - position
        return np.clip(self.gain * offset - self.damping * velocity, -1.0, 1.0)

    def waypoint(self, position: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Where to head now: the next cell's centre on a shortest path, or the target once in its cell."""
        here, there = self.cell(position), self.cell(target)
        distance = self._distances(there)
        if here == there:
            return target
        reachable = [cell for cell in _neighbours(here) if distance[cell] >= 0]
        if not reachable:  # cut off from the target
            return target
        return self.centre(min(reachable, key=lambda cell: distance[cell]))

    def cell(self, position: np.ndarray) -> Cell:
        """Cell (row, column) of a position; the maze is centred on the origin."""
        rows, columns = len(self.maze_map), len(self.maze_map[0])
        x, y = position[0] / self.cell_size, position[1] / self.cell_size
        return int(np.floor(rows / 2 - y)), int(np.floor(x + columns / 2))

    def centre(self, cell: Cell) -> np.ndarray:
        """Centre (x, y) of a cell."""
        rows, columns = len(self.maze_map), len(self.maze_map[0])
        return self.cell_size * np.array([cell[1] + 0.5 - columns / 2, rows / 2 - cell[0] - 0.5])

    def connected_cells(self, cell: Cell) -> list[Cell]:
        """All cells that can be reached from `cell`, itself included, row by row."""
        rows, columns = np.nonzero(self._distances(cell) >= 0)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def without(self, cell: Cell) -> "WaypointController":
        """The same controller in a maze where `cell` is a wall."""
        walled = [
            [WALL if (i, j) == cell else c for j, c in enumerate(row)] for i, row in enumerate(self.maze_map)
        ]
        return WaypointController(walled, self.gain, self.damping, self.cell_size)
