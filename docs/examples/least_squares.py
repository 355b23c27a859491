"""A loss of your own: least squares."""

from torch import Tensor

from lipschitz.tasks.losses import Loss


class LeastSquares(Loss):
    """Least squares: D is pulled to ``target`` on real and to zero on generated samples."""

    source = "Mao et al. 2017, arXiv:1611.04076, eq. 2"

    target: float = 1.0
    """Output of D that means real."""

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """Return mean (D(x) - target)² + mean D(G(z))²."""
        return (real - self.target).square().mean() + generated.square().mean()

    def generator(self, generated: Tensor) -> Tensor:
        """Return mean (D(G(z)) - target)²."""
        return (generated - self.target).square().mean()
