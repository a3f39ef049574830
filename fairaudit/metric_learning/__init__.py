"""How embeddings are trained: objectives on pairs and triplets, and branches that keep an attribute out of them."""
