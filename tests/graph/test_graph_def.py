"""Graphs as nodes with names."""

import distkeras as tf


def test_nodes_have_names_and_inputs():
    @tf.function
    def f(x):
        return tf.tanh(x) + tf.tanh(x * 2.0)

    concrete = f.get_concrete_function(tf.TensorSpec([2], tf.float32))
    nodes = concrete.graph.as_graph_def().node
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names) and names[0] == "input" and {"tanh", "tanh_1", "add"} <= set(names)
    assert all(source.split(":")[0] in names[:place] for place, node in enumerate(nodes) for source in node.input)
    assert "add = add(tanh, tanh_1)" in str(concrete.graph.as_graph_def())
