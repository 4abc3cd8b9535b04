"""gRPC handlers: decode, call a service, encode. No decisions and no SQL."""
