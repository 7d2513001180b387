"""Collecting data: who plays and how, and what a task gives to those who play it.

| room | what is in it |
|---|---|
| `controllers`, `kitchen` | scripted players: along waypoints of a maze, and of the kitchen |
| `players` | a controller or policy with its disturbance |
| `recipes` | how the episodes of a dataset are made, and in which shares |
| `chunks` | episodes played and kept, so that an interrupted collection can be resumed |
| `success_rate` | the disturbance that gives a wanted rate of success |
| `collecting` | all of it, spread over processes |
| `measure`, `measurements` | the two ends of a task's score, and the file of them |
"""
