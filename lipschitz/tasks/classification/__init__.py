"""The task classification: supervised training of a classifier under a Lipschitz constraint, and its evaluation.

- classification: the task that a sweep file names; classifier_training: the classifier and its updates.
- examples: images to train on, to choose by and to test on, and the order in which they are visited.
- penalised: the classifier as a function with one output, whose gradient a penalty sees.
- evaluation: what is measured; robustness_evaluation: attacks, sensitivity; certificates: certified accuracy.
- wording: the words of the report.
"""
