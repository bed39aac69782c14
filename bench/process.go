package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 60 * time.Second // a switch may have a long journal to read
	stopLimit  = 45 * time.Second
	tailSize   = 4 << 10
)

// child is a process that the run started.
type child struct {
	name string
	cmd  *exec.Cmd
	out  *tail
	done chan struct{}
	err  error // after done
}

// program is a process to start.
type program struct {
	name string
	args []string
	bank int // index of its books; noBank: it is the switch
}

const noBank = -1

// startChild runs the binary and waits until it is ready for work. The process is
// gone when this returns an error.
func startChild(ctx context.Context, o *Options, p program) (*child, error) {
	c := &child{name: p.name, cmd: exec.Command(o.Binary, p.args...), out: &tail{next: o.ChildLog}, done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	c.cmd.Env = append(os.Environ(), o.ChildEnv...)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if err := c.await(ctx, p.upCheck(o)); err != nil {
		c.stop()
		return nil, fmt.Errorf("%s did not start: %w\n%s", p.name, err, c.out.text())
	}
	return c, nil
}

// upCheck is how the program shows that it is ready for work.
func (p program) upCheck(o *Options) func(ctx context.Context) error {
	switch {
	case p.bank >= 0 && p.bank < len(o.Books):
		return func(ctx context.Context) error { return fetch(ctx, o.Books[p.bank]+"/healthz", io.Discard) }
	case p.bank == 0 && o.BankAddr != "":
		return func(ctx context.Context) error { return reach(ctx, o.BankAddr) }
	case p.bank == noBank && o.Admin != "":
		return func(ctx context.Context) error { return fetch(ctx, o.Admin+"/readyz", io.Discard) }
	case p.bank == noBank:
		return func(ctx context.Context) error {
			host, err := hostOf(o.Target)
			if err != nil {
				return err
			}
			return reach(ctx, host)
		}
	}
	return func(context.Context) error { return nil }
}

// alive is an error when the process has ended.
func (c *child) alive() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended by itself (%v)\n%s", c.name, c.err, c.out.text())
	default:
		return nil
	}
}

func reach(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

func (c *child) await(ctx context.Context, up func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		err := up(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended: %w", errors.Join(c.err, err))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-pause.C:
		}
	}
}

// stop asks the process to drain, and kills it when it does not end in time.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopLimit):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// tail passes output on and keeps the end of it. Goroutine-safe.
type tail struct {
	mu   sync.Mutex
	next io.Writer
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - tailSize; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return t.next.Write(p)
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}

// usage is what a process has used since it began.
type usage struct {
	cpu     time.Duration
	rssPeak int64 // bytes
}

// readUsage reads what a running process has used.
func readUsage(pid int) (usage, error) {
	cpu, err := processCPU(pid)
	if err != nil {
		return usage{}, err
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return usage{}, err
	}
	return usage{cpu: cpu, rssPeak: parsePeak(status)}, nil
}

// parsePeak is VmHWM in bytes; 0 when there is none.
func parsePeak(status []byte) int64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			f := bytes.Fields(rest)
			if len(f) > 0 {
				kb, _ := strconv.ParseInt(string(f[0]), 10, 64)
				return kb << 10
			}
		}
	}
	return 0
}

var webClient = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

const maxFetch = 64 << 20

// fetch copies the body of a GET that answered 200.
func fetch(ctx context.Context, url string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := webClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(to, io.LimitReader(res.Body, maxFetch)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", url, res.StatusCode)
	}
	return nil
}
