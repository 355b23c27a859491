"""Discriminators and generators as plain torch modules, independent of constraints.

- base: `Model`, `PairModel`, `ClassifierModel`, `MODELS`. activations, initialisation.
- mlp, critic, dcgan, resnet: models.
- mlp_classifier; gouk_cnn, cnn_4c3f, vgg, resnet18, of classifier_blocks: classifiers.
- residual: residual blocks and self-attention. conditional: class labels. group_sort: sorting activations.
- dropout: from a random stream of the run. householder: reflecting activation.
- classifier: the reference classifier's network.
"""
