"""The subcommands of `lipschitz`, one module each: what a command does and prints.

Their options are declared in `lipschitz.cli`. sweep: plan, run, report. report, status, verify, measure, data,
list, schema. weight_files: the checkpoints that measure loads. progress_lines: what a slow command is doing.
"""
