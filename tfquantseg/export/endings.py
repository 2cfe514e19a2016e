"""What a file gives in place of logits of their full size: classes, or logits at a stride."""

import dataclasses

from tfquantseg.export.network import ArgMax, Crop, Network, Resize, Tensor


def with_argmax(network: Network) -> Network:
    """Returns a network that gives the class of each pixel, int32 [H, W], in place of logits.

    Args:
        network: a frozen network whose logits have the size of its image.

    Returns:
        The same with an `ArgMax` behind its logits, in place of a softmax that it ends in.

    Raises:
        ValueError: its logits have another size, so that classes would have to be enlarged, or it
            has several outputs.
    """
    _check_one_output(network)
    height, width, _ = network.logits.shape
    if (height, width) != network.image.shape[:2]:
        raise ValueError(
            f"{network.name!r} returns logits of {height} x {width} for images of "
            f"{network.image.shape[0]} x {network.image.shape[1]}; classes are taken of logits of "
            "the image's size: enlarge them in the model, with a Resizing or UpSampling2D layer at "
            "its end."
        )
    operations, logits = list(network.operations), network.logits
    while operations and operations[-1].keeps_largest:
        (logits,) = operations.pop().inputs
    output = Tensor("classes", (height, width, 1), 1.0)
    operations.append(ArgMax(inputs=(logits,), output=output))
    return dataclasses.replace(network, operations=tuple(operations), logits=logits)


def at_stride(network: Network) -> Network:
    """Returns a network without the enlargement of its logits, which the host then does.

    A device computes the last resize over many channels, at the size of the image.

    Args:
        network: a frozen network.

    Returns:
        The same up to its last resize, the logits being what that resize read; a softmax behind it
        is left out too, since the largest logit is its largest.

    Raises:
        ValueError: it does not end in a resize, but for instance in a transposed convolution, or it
            has several outputs.
    """
    _check_one_output(network)
    operations, logits = list(network.operations), network.logits
    while operations and operations[-1].output == logits:
        if not (isinstance(operations[-1], Resize | Crop) or operations[-1].keeps_largest):
            break
        (logits,) = operations.pop().inputs
    if not any(isinstance(one, Resize) for one in network.operations[len(operations) :]):
        raise ValueError(
            f"{network.name!r} ends in {type(operations[-1]).__name__}, not in a resize: its "
            "logits have their full size only."
        )
    return dataclasses.replace(network, operations=tuple(operations), logits=logits)


def _check_one_output(network: Network) -> None:
    if network.more_logits:
        names = ", ".join(tensor.name for tensor in network.outputs)
        raise ValueError(
            f"{network.name!r} returns {len(network.outputs)} tensors ({names}); classes, and "
            "logits at a stride, are made of one. Write the file with its logits as they are."
        )
