//go:build !linux

package isoload

import "time"

// sleeper sleeps as well as the runtime can.
type sleeper struct{}

func newSleeper() *sleeper { return &sleeper{} }

func (*sleeper) sleep(d time.Duration) { time.Sleep(d) }

func (*sleeper) close() {}
