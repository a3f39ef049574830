"""What other models can make of frozen embeddings: probes, downstream classifiers, clusters and a map."""
