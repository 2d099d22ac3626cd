"""From pictures to emotions: faces, predictions, output, figures and explanations."""
