"""Internal helpers of the package: networks, structures, validation, files."""
