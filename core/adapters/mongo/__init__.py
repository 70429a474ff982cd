"""The store: MongoDB or a server that speaks its wire protocol.

Collections, indexes and the launcher of a server that the controller brings itself.
"""
