"""One mitigation per file that is more than a loss: it chooses the data, drives the engine, or decides afterwards."""
