package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports of FreeAddresses lie below those that kernels give to connections,
// 32768 and up on Linux.
const (
	firstPort    = 10240
	portsToTry   = 32768 - firstPort
	addressTries = 1000
)

// FreeAddresses are n loopback addresses that nobody listens on now. A process
// that is killed finds its address free when it starts again: no connection of
// others takes it meanwhile.
func FreeAddresses(n int) (free []string, err error) {
	for range addressTries {
		if len(free) == n {
			return free, nil
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(portsToTry)))
		if err != nil {
			continue // somebody's
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return nil, errors.New("there are no free ports on the loopback address")
}
