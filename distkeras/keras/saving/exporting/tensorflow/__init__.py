"""Models as functions of TensorFlow's operations, which SavedModels hold."""
