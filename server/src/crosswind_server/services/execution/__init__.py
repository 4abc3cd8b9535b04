"""What workers and tasks ask: leases, starts and ends of attempts, their inputs, logs and XComs."""
