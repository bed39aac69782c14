package sim

import (
	"net"
	"syscall"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
)

func newPipe() (near, far net.Conn) { return simnet.Pipe(simnet.Options{}) }

// cpuTime is what this process used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
