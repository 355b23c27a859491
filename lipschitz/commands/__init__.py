"""The subcommands of `lipschitz`, one module each: what a command does and what it prints."""
