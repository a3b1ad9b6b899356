"""What is simple where shapes are always known, and one program sees the whole batch (JAX, torch)."""


def check_shape(inputs, shape):
    """Return `inputs`, whose shape was compared when the batch was read."""
    return inputs


def check_rows(inputs, least, message):
    """Return `inputs`.

    Raises:
        ValueError: it has fewer than `least` rows.
    """
    if inputs.shape[0] < least:
        raise ValueError(f"{message} Received: {inputs.shape[0]}")
    return inputs


def replica_mean(tensor):
    """Return `tensor`: means over the rows are means over all of them."""
    return tensor


def whole_gradients(optimizer, grads):
    """Return what `gradients(..., optimizers)` gave, without the loss scale."""
    return [g / optimizer.scale_loss(1.0) for g in grads]


def check_replicas(gan):
    """Accept all layers: batch statistics are those of all rows."""
