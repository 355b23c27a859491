"""The task generation: GAN training and its evaluation.

- generation: the task that a sweep file names; gan_training: the two networks and their updates; generator: one.
- evaluation: what is measured and drawn; quality, inception_quality: metrics of samples; samples: those of the report.
- generator_gradient: norms of the gradient of the generator's loss.
- standing_statistics: of batch normalization, for an average of weights.
- wording: the words of the report.
"""
