"""What two neighbouring API versions differ in, and whether an option or a change says so. Run by the build only."""
