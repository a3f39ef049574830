"""Statistics of groups: arrays in, arrays out, numpy and scipy.special only."""
