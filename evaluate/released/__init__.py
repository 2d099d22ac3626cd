"""The authors' five released models: catalog, download, verification, stand-ins."""
