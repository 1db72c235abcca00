"""Point-in-time feature builders: frames in, frames out, nothing read before it was known."""

from features import (  # noqa: F401 - they register features
    breadth,
    crypto,
    flows,
    highs,
    linkage,
    liquidity,
    momentum,
    scaled,
)
from features.building import build_dataset
from features.catalogue import markdown
from features.dataset import Dataset, Input
from features.explain import all_time_highs
from features.labels import (
    Labels,
    average_uniqueness,
    forward_labels,
    three_classes,
    triple_barrier,
    volatility_labels,
)
from features.registry import REGISTRY, Feature, Group, Registry, Role
from features.schema import DatasetSchema
from features.selection import FeatureConfig, select_groups

__all__ = [
    "REGISTRY",
    "Dataset",
    "DatasetSchema",
    "Feature",
    "FeatureConfig",
    "Group",
    "Input",
    "Labels",
    "Registry",
    "Role",
    "all_time_highs",
    "average_uniqueness",
    "build_dataset",
    "forward_labels",
    "markdown",
    "select_groups",
    "three_classes",
    "triple_barrier",
    "volatility_labels",
]
