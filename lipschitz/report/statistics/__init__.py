"""Statistics over training seeds.

summary: means, floors and the best rows, computed once. intervals: the interval that everything uses, and its name in
captions. ranking: Welch's test and ranks. time_to_target: time to reach a quality. robustness: how much a method
depends on its setting.
"""
