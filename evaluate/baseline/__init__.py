"""The classical baseline: region histograms of LBP codes, and an SVM."""
