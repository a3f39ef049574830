"""From a checkpoint file to a network whose outputs have a meaning."""
