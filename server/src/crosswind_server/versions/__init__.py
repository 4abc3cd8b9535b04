"""API versions and the gates that carry messages across them. Wraps `rpc`."""
