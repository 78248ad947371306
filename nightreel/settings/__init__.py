"""The settings of params.yaml: a module a section, and the file as one typed object."""
