"""Models for runtimes that serve them: the forward pass, traced, and written as a graph of another library's operators.

tracing       the model, traced for two choices of its open sizes, such as the batch
translation   the two traces, compared, written equation by equation
writer        what every target can do; onnx/ and tensorflow/ have their own, and an operator for each primitive
"""
