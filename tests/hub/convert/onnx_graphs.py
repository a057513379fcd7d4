"""Parts of an ONNX graph."""


def gemm(model):
    return next(node for node in model.graph.node if node.op_type == "Gemm")


def weight_of(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def nodes(model, op):
    return [node for node in model.graph.node if node.op_type == op]


def attribute(node, name):
    return next(attribute for attribute in node.attribute if attribute.name == name)
