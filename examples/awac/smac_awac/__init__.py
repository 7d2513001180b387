"""An algorithm and a task in a package of their own: after `pip install .` they are there by name.

    smac pretrain --task two-poles --algorithm awac --dataset ...
    smac transfer --task two-poles --offline awac,iql ...
    smac tasks show two-poles

So are `--help`, every table and picture. `smac_awac.algorithm` and `smac_awac.task` are named in
pyproject.toml as entry points, which is all that it takes.
"""
