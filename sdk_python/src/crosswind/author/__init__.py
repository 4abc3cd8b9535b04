"""What people write DAGs and tasks with. Knows neither the runtime, nor the client, nor grpc."""
