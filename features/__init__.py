"""Point-in-time feature builders: frames in, frames out, nothing read before it was known."""

from features import breadth, crypto, flows, highs, momentum, scaled  # noqa: F401 - they register features
from features.dataset import Dataset, FeatureConfig, Input, build_dataset
from features.labels import Labels, forward_labels
from features.registry import REGISTRY, Feature, Group, Registry, Role

__all__ = [
    "REGISTRY",
    "Dataset",
    "Feature",
    "FeatureConfig",
    "Group",
    "Input",
    "Labels",
    "Registry",
    "Role",
    "build_dataset",
    "forward_labels",
]
