//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errLinuxOnly = errors.New("the load generator needs Linux")

func processCPU(int) (time.Duration, error) { return 0, errLinuxOnly }

type poller struct{}

func newPoller() (*poller, error)                     { return nil, errLinuxOnly }
func (*poller) close()                                {}
func (*poller) add(int, int32) error                  { return errLinuxOnly }
func (*poller) wantWrite(int, int32, bool) error      { return errLinuxOnly }
func (*poller) wait(time.Duration, func(int32)) error { return errLinuxOnly }
func precise()                                        {}
func dial(route, time.Duration) (int, error)          { return -1, errLinuxOnly }
func readSome(int, []byte) (int, error)               { return 0, errLinuxOnly }
func writeSome(int, []byte) (int, error)              { return 0, errLinuxOnly }
func closeSocket(int)                                 {}
