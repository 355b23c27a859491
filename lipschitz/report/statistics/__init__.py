"""Statistics over training seeds.

summary: means, floors and the best rows, computed once. intervals: the interval that everything uses, and its name in
captions. ranking: ranks by Welch's test. significance: Welch's test of all pairs with Holm's correction.
time_to_target: time to reach a quality. robustness: how much a method depends on its setting.
"""
