"""HDF5 files: layouts, safety checks, and the worker process that parses them."""
