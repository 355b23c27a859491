"""Lower bounds of a network's Lipschitz constant.

- search: the bound. kink_walk, hill_climb: steep points in few dimensions, with one output and with several.
  gradient_ascent: steep pairs of points in many. smoothed_ascent: steep points of a network with smoothed ReLUs.
- gradient_norms: slopes by autograd. difference_quotients: slopes confirmed. rounding_error: how far they may be off.
- network_cost: operations of one pass, for a budget.
"""
