"""The smallest complete component of each kind: what ``hcat new-plugin`` starts from."""
