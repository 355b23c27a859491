"""Pairs of distributions with known optimal transport, on which critics are evaluated.

pair_data: `PairData`. ball_to_ring, line, translation: closed forms. funnels: the continuous Wasserstein-1 benchmark;
rays: its transport rays.
"""
