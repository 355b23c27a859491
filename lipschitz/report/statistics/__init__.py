"""Statistics over training seeds.

summary: means, floors and the best rows, computed once. geometric: which means are geometric. intervals: the intervals
that everything uses, and their names in captions. final_quality: who is ahead on a data set. ranking: ranks by Welch's
test. average_rank: over data sets and starts. improvement: the probability that a run is better than another.
significance: Welch's test of pairs with Holm's correction. against_none: methods tested against the network without a
constraint. generalization_gap: the gap where training accuracy or loss reaches a level. rank_correlation: Spearman's
over runs. time_to_target: time to reach a quality. timings: times of a step, unsteady ones, and ratios.
robustness: how much a method depends on its setting.
"""
