"""An observer of your own: print a metric at each evaluation."""

from lipschitz.training.observers import Observer


class PrintValues(Observer):
    """Print step and W1 at each evaluation."""

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Print one line."""
        print(f"step {step}: W1 {values['w1']:.3f}", flush=True)
