def write_demo(root, table, say): raise NotImplementedError
