"""The parts of the page that need JavaScript: figures to explore, tables that sort and filter. No network.

- figure_data: the numbers behind the figures, thinned, as JSON.
- assets: the scripts, the libraries in ``report/vendor/`` and their licences, as one page holds them.
- html: the templates, and a policy that forbids every request.
- scripts/: figures.js draws the figures, tables.js filters tables, methods.js joins both, state.js is what they share.

Without JavaScript the page shows its static figures and tables, and none of this.
"""
