package bench

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
)

const (
	generatorName = "generator"
	bankName      = "bank"
	serveName     = "switch"
)

// rig is what a run loads: the processes it started, and those it measures.
type rig struct {
	children []*child // in the order of their start
	subjects []*subject

	mu    sync.Mutex
	serve *child // the switch, when the run started it
}

// startRig starts what Options name, banks first. Nothing runs when it fails.
func startRig(ctx context.Context, o *Options) (*rig, error) {
	r := &rig{subjects: []*subject{{name: generatorName, pid: os.Getpid()}}}
	if o.BankPID > 0 {
		r.subjects = append(r.subjects, &subject{name: bankName, pid: o.BankPID})
	}
	if o.ServePID > 0 {
		r.subjects = append(r.subjects, &subject{name: serveName, pid: o.ServePID})
	}
	for i, args := range append([][]string{o.BankArgs}, o.MoreBanks...) {
		if len(args) == 0 {
			continue
		}
		name := bankName
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		if err := r.start(ctx, o, program{name: name, args: args, bank: i}); err != nil {
			return nil, errors.Join(err, r.stop())
		}
	}
	if len(o.ServeArgs) > 0 {
		if err := r.start(ctx, o, program{name: serveName, args: o.ServeArgs, bank: noBank}); err != nil {
			return nil, errors.Join(err, r.stop())
		}
		r.serve = r.children[len(r.children)-1]
	}
	return r, nil
}

func (r *rig) start(ctx context.Context, o *Options, p program) error {
	c, err := startChild(ctx, o, p)
	if err != nil {
		return err
	}
	r.children = append(r.children, c)
	r.subjects = append(r.subjects, &subject{name: p.name, pid: c.cmd.Process.Pid})
	return nil
}

// stop ends what was started, the switch first: it drains while its banks are up.
// The error names a switch that had ended by itself.
func (r *rig) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.serve != nil {
		err = r.serve.alive()
		r.serve.stop()
	}
	for _, c := range r.children {
		c.stop()
	}
	return err
}

// restart kills the switch, as a loss of power of the process would, and starts it
// on the journal it left.
func (r *rig) restart(ctx context.Context, o *Options) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serve == nil {
		return errors.New("the run did not start the switch, so it cannot kill it")
	}
	if err := r.serve.alive(); err != nil {
		return err
	}
	s := r.subject(serveName)
	s.bury()
	_ = r.serve.cmd.Process.Signal(syscall.SIGKILL)
	<-r.serve.done
	// A run that ends meanwhile still needs the switch for its books.
	c, err := startChild(context.WithoutCancel(ctx), o, program{name: serveName, args: o.ServeArgs, bank: noBank})
	if err != nil {
		return err
	}
	r.serve = c
	s.live(c.cmd.Process.Pid)
	return nil
}

func (r *rig) subject(name string) *subject {
	for _, s := range r.subjects {
		if s.name == name {
			return s
		}
	}
	return nil
}

// subject is a measured process, which may die and live again. Goroutine-safe.
type subject struct {
	name string

	mu     sync.Mutex
	pid    int   // 0: it does not run now
	before usage // of its earlier lives
}

// read is what the process has used in all its lives.
func (s *subject) read() (usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return s.before, nil
	}
	u, err := readUsage(s.pid)
	return usage{cpu: s.before.cpu + u.cpu, rssPeak: max(s.before.rssPeak, u.rssPeak)}, err
}

// bury keeps what the process has used until now.
func (s *subject) bury() {
	u, err := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.before = u
	}
	s.pid = 0
}

func (s *subject) live(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
}
