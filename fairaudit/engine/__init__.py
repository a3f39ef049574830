"""The loops over images: predict, train."""
