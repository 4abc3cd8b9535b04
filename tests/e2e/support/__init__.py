"""What the end-to-end tests start, steer and break: processes, workers, puppets (tasks that do as told), a proxy."""
