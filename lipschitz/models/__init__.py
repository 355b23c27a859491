"""Discriminators and generators as plain torch modules, independent of constraints.

- base: `Model`, `PairModel`, `MODELS`. activations, initialisation. mlp, critic, dcgan, resnet: models.
- residual: residual blocks and self-attention. conditional: class labels. group_sort: sorting activations.
- householder: reflecting activation. classifier: the reference classifier's network.
"""
