"""The subcommands of `lipschitz`, one module each: what a command does and prints.

Their options are declared in `lipschitz.cli`. sweep: plan, run, report. report, claims, status, verify, restore,
measure, data, list, schema. sweep_options: the options of sweep. sweep_plan: what it prints before it trains.
list_entry: one method with its fields. weight_files: the checkpoints that measure loads. progress_lines: what a slow
command is doing.
"""
