"""From a sweep file to results on disk: definition, timing pass, engine, store.

- definition/: sweep file to runs. engine/: dispatches runs to workers. timing/: times configurations first.
- store, run_folder, folder_lock: the folders of results and of one run. reported_runs: what a report needs of the runs.
- growth: what a sweep file keeps, adds or leaves out of its folder.
- heartbeat: how far a run has come; progress_text: in words.
- input_checks: data, weights and precisions, checked before the first run.
- inputs: hashes of what runs depend on, compared with those of the folder's runs.
- process: starts and sets up the process of a worker.
- provenance: commit, versions and device of a measurement. display: progress on the terminal.
"""
