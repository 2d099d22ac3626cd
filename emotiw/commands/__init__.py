"""The verbs of the command, one small module each: `add_arguments(parser)` and `run(args)`.

Only the module of the verb in use is imported; it imports heavy modules inside `run`. Its docstring after the first
line is the verb's help.
"""

__all__ = ["MODULES", "VERBS"]

VERBS = {
    "map": "Turn face images into their mapped binary patterns.",
    "caffe": "Install the real Caffe, describe it, or run a pycaffe script in it.",
    "prepare": "Make a prepared set (manifest, LMDBs, means) from a folder of face images.",
    "pretrain": "Pre-train a row (net x representation) on a set of identities, with the real Caffe or PyTorch.",
    "finetune": "Fine-tune a row (net x representation) on a set of emotions, with the real Caffe or PyTorch.",
    "evaluate": "Score runs and released models on a split of a prepared set: posteriors, accuracy, confusion matrix.",
    "baseline": "Score a classical baseline on a prepared set: region histograms of LBP codes, and an SVM.",
    "table": "Put all evaluated runs into one table, with their ensemble and the published figures.",
    "records": "Copy the records of scored runs so that they can be committed: no weights, no path of this machine.",
    "experiments": "Print the table of experiments, as a template for your own; or the nets and their batch sizes.",
    "reproduce": "Run the paper's whole experiment: pre-train, fine-tune and score every row; ensemble and table.",
    "models": "List, fetch and verify the authors' five released models, or make stand-ins.",
    "predict": "Predict the emotion of the faces in pictures, with the authors' models or nets trained here.",
    "explain": "Draw how the nets classify a face: their input, first filters and responses, posteriors.",
    "export": "Write a released model or a run as an ONNX file, with its preprocessing, for other frameworks.",
    "serve": "Open a local page that shows the models' predictions for a face from a file or the camera.",
    "demo": "Run the whole experiment on drawn faces: sets, pre-training, fine-tuning, ensemble, table, report.",
}
"""Each verb with its summary, in the order of the help."""

MODULES = {"pretrain": "train", "finetune": "train"}
"""The module of a verb, if its name differs."""
