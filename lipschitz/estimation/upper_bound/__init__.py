"""Certified upper bounds of Lipschitz constants.

- layer_bounds: of every layer; operator_bounds: by weight, each once; gram_iteration: of a convolution; polyphase:
  stride, dilation and padding; nonnegative_maps: of averages and copies.
- composition: of a network; tracing: its graph, by torch.export; graph_checks: that the graph is the network;
  opaque_modules: modules that are not traced; traced_call: records of one step.
- operator_rules: constants of operators by name, from activation_slopes, linear_rules, normalization_rules,
  pooling_and_reshaping, reductions, sums_and_products, scalar_functions.
- logit_differences: of the differences of a classifier's logits, for each pair of classes.
- chains: runs of steps that are bounded as one, by semidefinite relaxation: semidefinite/.
"""
