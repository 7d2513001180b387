"""Parts of `smac.data.collect`: who plays (players, recipes), how (episodes), and what is aimed at."""
