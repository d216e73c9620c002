"""What the tests share: servers, settings, waiting, and the guards. One module, one job."""
