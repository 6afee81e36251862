"""What tests share: checkpoints, servers, instruments, measurements, pages, imports."""
