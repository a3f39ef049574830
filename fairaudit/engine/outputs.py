"""What a network gives a loss: its logits, what goes into its last layer, or whatever else it gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fairaudit.config import Precision
from fairaudit.engine.features import head_inputs, head_of
from fairaudit.engine.rows import lowered, normalised
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import TrainingError


@dataclass(frozen=True, eq=False)
class Outputs:
    """Runs a network on training images.

    Attributes:
        data: whose preprocessing, and as many outputs.
        precision: in which it runs.
        head: the last layer, where what goes into it is wanted; None where outputs are.
        logits: whether the outputs must be logits, one for each of the data's classes.
    """

    data: TrainingData
    precision: Precision
    head: nn.Module | None
    logits: bool = True

    def __call__(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Run the network, with gradients where they are enabled.

        Args:
            network: the module, or what shares its gradients with other processes.
            inputs: (b, 3, h, w) float in [0, 1], or (b, d) features.

        Returns:
            (b, k) logits, (b, d) embeddings or other outputs, float32.

        Raises:
            TrainingError: the network does not fit the data.
        """
        normal = normalised(inputs, self.data.preprocess)
        with lowered(inputs.device, self.precision):
            if self.head is None:
                return self._checked(network(normal))
            with head_inputs(self.head) as seen:
                network(normal)
        if seen.latest is None or seen.latest.dim() != 2:
            raise TrainingError("the network's last layer takes no rows of features that could be embeddings")
        return seen.latest.float()

    def _checked(self, logits: object) -> Tensor:
        k = self.data.n_outputs
        if not self.logits and isinstance(logits, Tensor) and logits.dim() == 2:
            return logits.float()
        if not isinstance(logits, Tensor):
            raise TrainingError(f"the network returns a {type(logits).__name__} in training, not one tensor of logits")
        if logits.dim() != 2 or logits.shape[1] != k:
            found = " × ".join(map(str, logits.shape[1:]))
            raise TrainingError(f"the network has {found} outputs per image, but the target has {k} classes")
        return logits.float()


def outputs_for(module: nn.Module, data: TrainingData, precision: Precision, wants: str) -> Outputs:
    """What a loss wants of a network.

    Args:
        module: the network.
        data: what it is trained on.
        precision: in which it runs.
        wants: ``GroupLoss.wants``.

    Raises:
        UsageError: embeddings are wanted, but the last layer cannot be told.
    """
    return Outputs(data, precision, head_of(module)[1] if wants == "embeddings" else None, wants == "logits")
