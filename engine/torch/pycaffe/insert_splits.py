"""Insert a Split layer for each blob with several readers, with the same names as Caffe's insert_splits.cpp."""

from collections import Counter
from dataclasses import replace

from emotiw.engine.torch.graph import Graph
from emotiw.prototxt.formats.messages import LayerParameter

Place = tuple[int, int]  # the numbers of a layer and of its top


def with_splits(graph: Graph) -> Graph:
    """Return the graph with a Split layer after each top that several layers read, or one layer and the loss."""
    made_at, readers = _readers(graph)
    layers: list[LayerParameter] = []
    where: list[str] = []
    taken: Counter[Place] = Counter()
    for number, (given, place) in enumerate(zip(graph.layers, graph.where, strict=True)):
        layer = LayerParameter()
        layer.CopyFrom(given)
        for k in range(len(layer.bottom)):
            top = made_at[number][k]
            if top is not None and readers[top] > 1:
                layer.bottom[k] = f"{_split_name(graph, top)}_{taken[top]}"
                taken[top] += 1
        layers.append(layer)
        where.append(place)
        for k in range(len(layer.top)):
            if readers[number, k] > 1:
                layers.append(_split(graph, (number, k), readers[number, k]))
                where.append(f"the split after {place}")
                if _weight(given, k):  # the loss reads the first copy
                    layer.ClearField("loss_weight")
                    taken[number, k] += 1
    return replace(graph, layers=tuple(layers), where=tuple(where))


def _readers(graph: Graph) -> tuple[list[list[Place | None]], Counter[Place]]:
    """Return the top that each layer's bottoms refer to, and how often each top is read."""
    last: dict[str, Place] = {}
    made_at, readers = [], Counter[Place]()
    for number, layer in enumerate(graph.layers):
        made_at.append([last.get(name) for name in layer.bottom])  # None: the net will refuse it
        readers.update(top for top in made_at[-1] if top is not None)
        last |= {name: (number, k) for k, name in enumerate(layer.top)}
        readers.update((number, k) for k in range(len(layer.top)) if _weight(layer, k))
    return made_at, readers


def _weight(layer: LayerParameter, top: int) -> float:
    return layer.loss_weight[top] if top < len(layer.loss_weight) else 0.0


def _split_name(graph: Graph, top: Place) -> str:
    layer = graph.layers[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"


def _split(graph: Graph, top: Place, count: int) -> LayerParameter:
    layer, name = graph.layers[top[0]], _split_name(graph, top)
    split = LayerParameter(name=name, type="Split", bottom=[layer.top[top[1]]], phase=layer.phase)
    split.top.extend(f"{name}_{k}" for k in range(count))
    if _weight(layer, top[1]):
        split.loss_weight.extend([_weight(layer, top[1]), *[0.0] * (count - 1)])
    return split
