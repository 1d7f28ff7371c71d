"""The experiments of papers, on made people."""
