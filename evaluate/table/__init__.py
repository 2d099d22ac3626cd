"""From scores to the results table: cells, rows, notes, published figures; Markdown, CSV, HTML."""
