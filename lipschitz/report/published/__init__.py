"""Published numbers, and a sweep's own numbers beside them.

work: a published work, a csv and a json of one name, and which runs match its methods. critics, critic_tables, ranks:
critics on pairs of distributions. images, image_tables: GANs on images. classifier_tables: classifiers. verdicts:
whether a published value is near ours, and in the prediction interval.
"""
