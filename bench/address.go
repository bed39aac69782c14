package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

// The ports of FreeAddresses lie below those that kernels give to connections,
// 32768 and up on Linux.
const (
	firstPort    = 10240
	portsToTry   = 32768 - firstPort
	addressTries = 1000
	portsApart   = 331 // between the first ports of processes whose ids follow each other
)

// portsTaken counts the ports that this process has looked at, from a place of its own:
// none is given twice, here or by processes that look at the same time, before it is
// listened on.
var portsTaken atomic.Int64

// FreeAddresses are n loopback addresses that nobody listens on now. A process
// that is killed finds its address free when it starts again: no connection of
// others takes it meanwhile.
func FreeAddresses(n int) (free []string, err error) {
	for range addressTries {
		if len(free) == n {
			return free, nil
		}
		port := firstPort + (int64(os.Getpid())*portsApart+portsTaken.Add(1))%portsToTry
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // somebody's
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return nil, errors.New("there are no free ports on the loopback address")
}
