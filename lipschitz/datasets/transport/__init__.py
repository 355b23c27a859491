"""Pairs of distributions with known optimal transport, on which critics are evaluated.

pair_data: `PairData`. closed_forms: on the line, translation, ball to ring. funnels: the continuous Wasserstein-1
benchmark; rays: its transport rays.
"""
