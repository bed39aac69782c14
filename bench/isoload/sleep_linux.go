package isoload

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper sleeps by a timer of the kernel that the runtime waits for like a socket:
// exact to some microseconds, where the runtime's own timers wake an idle process up
// to a millisecond late, and without a thread or a processor of its own. Not
// goroutine-safe.
type sleeper struct {
	fd   int
	file *os.File // nil: the kernel gave none
	buf  [8]byte
}

func newSleeper() *sleeper {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &sleeper{}
	}
	return &sleeper{fd: fd, file: os.NewFile(uintptr(fd), "timer")}
}

// sleep returns after d, at once when d is not positive.
func (s *sleeper) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if s.file != nil {
		after := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
		if unix.TimerfdSettime(s.fd, 0, &after, nil) == nil {
			if _, err := s.file.Read(s.buf[:]); err == nil {
				return
			}
		}
	}
	time.Sleep(d)
}

func (s *sleeper) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
