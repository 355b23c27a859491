# What type checkers and editors see of `lipschitz`: the names that __init__.py imports at their first use.
from lipschitz.api.constrained import Constrained as Constrained
from lipschitz.api.constrained import constrain as constrain
from lipschitz.api.results import SweepResults as SweepResults
from lipschitz.api.results import load as load
from lipschitz.api.sweep import sweep as sweep
from lipschitz.constraints.base import Constraint as Constraint
from lipschitz.constraints.base import Refusal as Refusal
from lipschitz.errors import InputError as InputError
from lipschitz.estimation.measure import Measurement as Measurement
from lipschitz.estimation.measure import measure as measure
from lipschitz.sweep.trained_run import TrainedNetworks as TrainedNetworks
from lipschitz.sweep.trained_run import TrainedRun as TrainedRun
from lipschitz.sweep.trained_run import load_run as load_run
from lipschitz.tasks.generation.image_scores import ImageScores as ImageScores
from lipschitz.tasks.generation.image_scores import evaluate as evaluate

API: dict[str, str]
__version__: str
