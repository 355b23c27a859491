"""Certified upper bounds of Lipschitz constants.

- layer_bounds: of every layer; gram_iteration: of a convolution; polyphase: stride, dilation and padding.
- composition: of a network, over its torch.fx graph; traced_call: one step of it.
- activation_constants, module_rules, function_rules, pooling_and_reshaping, sums_and_products: constants of steps.
"""
