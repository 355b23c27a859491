"""Recognise a device that no longer responds."""

import torch


def is_lost_device(device: str, error: BaseException) -> bool:
    """Say whether a device no longer responds, as after a failed device-side assertion."""
    if isinstance(error, torch.AcceleratorError):
        return True
    if torch.device(device).type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError:
            return True
    return False
