"""Lipschitz constraints on the discriminator, one file per method.

- base: `Constraint` with its five hooks, `CONSTRAINTS`, how several constraints wrap a network.
- certified, one_lipschitz: what certified methods share. power_iteration, convolution_operator: σ during training.
- normalized_weight, stored_sigma: a weight divided by σ. input_gradients: for penalties.
- norm_slots, batch_norm_scale, batch_dependence: normalization layers.
"""
