package curves

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
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 3 * time.Minute // a long journal or many merchants are to be read
	stopLimit  = 90 * time.Second
	tailBytes  = 4 << 10
	askEvery   = 5 * time.Millisecond
)

// command is a process to start; up is nil-error once it is ready.
type command struct {
	name string
	line []string
	up   func(context.Context) error
}

// process is a running child.
type process struct {
	name      string
	cmd       *exec.Cmd
	out       *tail
	ended     chan struct{}
	err       error // after ended
	startTime time.Duration
}

// startProcess waits until the process is up. It is gone when this fails.
func startProcess(ctx context.Context, c command) (*process, error) {
	p := &process{name: c.name, cmd: exec.Command(c.line[0], c.line[1:]...), out: new(tail), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	from := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.await(ctx, c.up); err != nil {
		p.kill()
		return nil, fmt.Errorf("%s did not start: %w\n%s", c.name, err, p.out.text())
	}
	p.startTime = time.Since(from)
	return p, nil
}

func (p *process) await(ctx context.Context, up func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	pause := time.NewTicker(askEvery)
	defer pause.Stop()
	for {
		err := up(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %w", errors.Join(p.err, err))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-pause.C:
		}
	}
}

// stop asks the process to end. One that has to be killed, or ended badly, is an error.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		p.kill()
		return fmt.Errorf("%s did not end within %s", p.name, stopLimit)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.out.text())
	}
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// resident is the memory of the process now, in bytes.
func (p *process) resident() (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the process holds")
}

// tail keeps the end of what a process says. Goroutine-safe.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - tailBytes; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}

func reach(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

var webClient = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

const maxPage = 1 << 20

// get is nil when the page answers 200.
func get(ctx context.Context, url string) error { return ask(ctx, http.MethodGet, url, "") }

// post is nil when the body, which is JSON, is answered 200.
func post(ctx context.Context, url, body string) error { return ask(ctx, http.MethodPost, url, body) }

func ask(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := webClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxPage)) // it only explains a refusal
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: status %d %s", method, url, res.StatusCode, bytes.TrimSpace(said))
	}
	return nil
}
