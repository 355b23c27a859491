"""Statistics over training seeds.

``summary`` computes means, floors and the best rows once. ``intervals`` holds the interval that everything uses, with
its words in captions; ``ranking`` Welch's test and ranks; ``time_to_target`` the time to reach a quality;
``robustness`` how much a method depends on its setting.
"""
