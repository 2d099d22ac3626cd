"""Image to LBP codes to colours, and the 3-D map of the 256 codes (numpy; knows no files, no Caffe)."""
