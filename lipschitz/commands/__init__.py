"""The subcommands of `lipschitz`, one module each: what a command does and prints. Their options are in `cli`."""
