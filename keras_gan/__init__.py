"""Generative adversarial nets for Keras."""
