"""Crosswind for Python: what authors of DAGs and tasks import. Importing it never imports grpc."""
