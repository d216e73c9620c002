"""A small shop of three services. Run it: python -m examples.pedidos"""
