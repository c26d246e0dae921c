"""What these tests have in common lies beside this file (`demo_process`), which is on the path by it."""
