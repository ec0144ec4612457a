"""Settings that all trainings have in common."""

from __future__ import annotations

from sar2opt.config import Settings
from sar2opt.sar.normalise import NormalisationSettings


class TrainingSettings(Settings):
    """What ``sar2opt train`` reads from TOML, whatever it trains."""

    kind: str
    name: str
    seed: int = 0
    crop: int = 128  # pixels
    norm_quantile: float = 0.75
    norm_span_db: float = 10.0

    @property
    def norm(self) -> NormalisationSettings:
        """The input normalisation that travels with the weights."""
        return NormalisationSettings(quantile=self.norm_quantile, span_db=self.norm_span_db)
