"""What each part of a model is worth: the model without it, side by side on the same rows."""

from bayes_hybrid.ablation.kfold import kfold
from bayes_hybrid.ablation.result import Ablation
from bayes_hybrid.ablation.run import ablate
from bayes_hybrid.ablation.variant import Variant, variants

__all__ = ["Ablation", "Variant", "ablate", "kfold", "variants"]
