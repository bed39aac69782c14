package main

import "syscall"

// childOfTest lets no process outlive a test that panics.
func childOfTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
