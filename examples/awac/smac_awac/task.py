"""A task: gymnasium's cart with two poles on it, at most 100 steps, with defaults for AWAC."""

import smac

TWO_POLES = smac.register_task(
    smac.Task(
        name="two-poles",
        family="poles",
        env_id="InvertedDoublePendulum-v5",
        horizon=100,
        description="a cart balances two poles, one on the other",
        observes="the cart's place, sines and cosines of the angles, velocities, a force",
        reward="own",
        rewards=("own",),
        random_return=45.5,
        expert_return=1000.0,
        references="uniform actions, 50 episodes, reset seeds from 5000; the full bonus of 10 at every step",
        defaults={"all": {"hidden": (64, 64)}, "awac": {"inverse_temperature": 3.0}},
    )
)
