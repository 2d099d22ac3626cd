"""The verbs of the command, one small module each: `add_arguments(parser)` and `run(args)`.

Only the module of the verb in use is imported, and what is heavy only inside its `run`. What its docstring says behind
the first line is the verb's help.
"""

__all__ = ["MODULES", "VERBS"]

VERBS = {
    "map": "Turn face images into their mapped binary patterns.",
    "caffe": "Install a real Caffe, look at it, or run a pycaffe script in it.",
    "prepare": "Make a prepared set (manifest, LMDBs, means) of a folder of face images.",
    "pretrain": "Pre-train a row (net x representation) on a set of identities, by the real Caffe or by PyTorch.",
    "finetune": "Fine-tune a row (net x representation) on a set of emotions, by the real Caffe or by PyTorch.",
    "evaluate": "Score runs and released models on a split of a prepared set: posteriors, accuracy, confusion matrix.",
    "baseline": "Score a classical baseline on a prepared set: region histograms of LBP codes, and an SVM.",
    "table": "Put all evaluated runs into one table, with their ensemble and the published figures.",
    "records": "Copy the records of scored runs to be committed: no weights, no path of this machine.",
    "experiments": "Print the table of experiments, as a start for one of your own; or the nets and their batch sizes.",
    "reproduce": "Carry out the paper's whole experiment: every row pre-trained, fine-tuned, scored; ensemble, table.",
    "models": "The authors' five released models: list, fetch and verify them, or make stand-ins.",
    "predict": "Name the emotion of the faces in pictures, by the authors' models or by nets trained here.",
    "explain": "Show what the nets make of a face: their input, first filters and response, posteriors; one picture.",
    "export": "Write a released model or a run as an ONNX file, with its preprocessing, for other frameworks.",
    "serve": "Open a local page: drop or shoot a face, see what the models make of it.",
    "demo": "Draw faces and take them the whole way: sets, pre-training, fine-tuning, ensemble, table, report.",
}
"""Each verb with its summary, in the order of the help."""

MODULES = {"pretrain": "train", "finetune": "train"}
"""The module of a verb, where it is not of the same name."""
