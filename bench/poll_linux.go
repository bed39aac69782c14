package bench

import (
	"errors"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for many sockets at once: one system call per batch of answers
// instead of a parked goroutine and a failed read per answer.
type poller struct {
	fd     int
	events []unix.EpollEvent
	coarse bool // the kernel waits in milliseconds only
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// add watches a socket; token comes back in wait.
func (p *poller) add(fd int, token int32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: token})
}

// wantWrite also waits for room to write.
func (p *poller) wantWrite(fd int, token int32, on bool) error {
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: token})
}

// wait returns after timeout at the latest and calls ready for every socket.
func (p *poller) wait(timeout time.Duration, ready func(token int32)) error {
	n, err := p.sleep(max(timeout, 0))
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range n {
		ready(p.events[i].Fd)
	}
	return nil
}

func (p *poller) sleep(timeout time.Duration) (int, error) {
	if p.coarse {
		return unix.EpollWait(p.fd, p.events, int((timeout+time.Millisecond-1)/time.Millisecond))
	}
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.ENOSYS, unix.EPERM:
		p.coarse = true
		return 0, nil
	}
	return 0, errno
}

// precise asks the kernel to wake this thread on time instead of up to 50 us late.
// REQUIRES: the goroutine is locked to its thread.
func precise() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// dial connects and returns a non-blocking socket that the runtime does not know.
func dial(r route, timeout time.Duration) (int, error) {
	d := net.Dialer{Timeout: timeout, LocalAddr: r.from()}
	c, err := d.Dial("tcp", r.host)
	if err != nil {
		return -1, err
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, derr := -1, error(nil)
	err = raw.Control(func(own uintptr) {
		fd, derr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, derr)
}

// readSome returns the bytes read, 0 at the end of the stream and errAgain when
// there is nothing yet.
func readSome(fd int, buf []byte) (int, error) { return again(unix.Read(fd, buf)) }

func writeSome(fd int, buf []byte) (int, error) { return again(unix.Write(fd, buf)) }

func again(n int, err error) (int, error) {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, errAgain
	}
	return n, err
}

func closeSocket(fd int) { _ = unix.Close(fd) }
