package webhooks

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Deliverer sends what the outbox owes. All methods are goroutine-safe.
//
// Lock order: Deliverer.mu, then an endpoint's mu; neither is held over a
// journal command or a call.
type Deliverer struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	slots   slots
	settle  chan settlement
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup

	draining atomic.Bool  // no delivery begins
	tests    atomic.Int64 // test messages on their way
	open     atomic.Int64 // deliveries between their start and the journal's word

	mu        sync.RWMutex
	endpoints map[payswitch.ID]*endpoint
	started   bool
}

// settlement is what came of one lane, on its way to the journal.
type settlement struct {
	attempts []payswitch.Attempt
	done     func(error)
}

// New makes a Deliverer. It sends nothing before Start.
// Errors name the option at fault.
func New(o Options) (*Deliverer, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d := &Deliverer{o: o, log: o.Logger, endpoints: map[payswitch.ID]*endpoint{}, settle: make(chan settlement, payswitch.MaxSettled)}
	d.slots.free.Store(int64(o.Concurrency))
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.metrics = newMetrics(o.Registerer, d)
	return d, nil
}

// Start listens to the outbox and sends what it owes, that of earlier lives
// included. REQUIRES: the switch is started.
func (d *Deliverer) Start() error {
	owing, err := d.o.Outbox.Owing()
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.started = true
	d.mu.Unlock()
	d.workers.Add(1)
	go func() {
		defer d.workers.Done()
		d.settleLoop()
	}()
	d.o.Outbox.Listen(payswitch.Listener{Owed: d.owed, Changed: d.changed})
	for _, e := range d.o.Outbox.Endpoints() {
		d.changed(e)
	}
	for _, id := range owing {
		if e := d.o.Outbox.Endpoint(id); e == nil {
			d.changed(&payswitch.Endpoint{ID: id})
		}
	}
	return nil
}

// Stop begins no delivery any more, and lets those on their way end and be
// written down until ctx ends. What is then cut off is sent again in the next life.
func (d *Deliverer) Stop(ctx context.Context) {
	d.draining.Store(true)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for d.open.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	d.o.Outbox.Listen(payswitch.Listener{Owed: func(payswitch.Notice) {}, Changed: func(*payswitch.Endpoint) {}})
	d.mu.Lock()
	d.started = false
	d.mu.Unlock()
	d.stop()
	d.workers.Wait()
	d.o.Caller.Close()
}

// owed is told of a notice on the path of a payment.
func (d *Deliverer) owed(n payswitch.Notice) {
	d.mu.RLock()
	e := d.endpoints[n.Endpoint]
	d.mu.RUnlock()
	if e == nil {
		return
	}
	e.mu.Lock()
	news := e.window.put(n)
	e.mu.Unlock()
	if news {
		e.signal() // a dead endpoint sleeps until its pause ends, whatever comes
	}
}

// changed is told of an endpoint that was made, changed or deleted.
func (d *Deliverer) changed(info *payswitch.Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.endpoints[info.ID]
	if e != nil {
		e.renew(info)
		return
	}
	if !d.started {
		return
	}
	e = newEndpoint(d, info)
	d.endpoints[info.ID] = e
	d.workers.Add(1)
	go func() {
		defer d.workers.Done()
		e.run()
		d.mu.Lock()
		delete(d.endpoints, info.ID)
		d.mu.Unlock()
	}()
}

// settleLoop makes outcomes durable, many in one step.
func (d *Deliverer) settleLoop() {
	var batch []payswitch.Attempt
	var done []func(error)
	var carried *settlement
	for {
		batch, done = batch[:0], done[:0]
		take := func(s settlement) bool {
			if len(batch) > 0 && len(batch)+len(s.attempts) > payswitch.MaxSettled {
				carried = &s
				return false
			}
			batch, done = append(batch, s.attempts...), append(done, s.done)
			return true
		}
		if carried != nil {
			s := *carried
			carried = nil
			take(s)
		} else {
			select {
			case s := <-d.settle:
				take(s)
			case <-d.ctx.Done():
				return
			}
		}
		for more := true; more; {
			select {
			case s := <-d.settle:
				more = take(s)
			default:
				more = false
			}
		}
		err := d.o.Outbox.Settle(batch)
		if err != nil {
			d.log.Error("outcomes of webhooks could not be recorded; they are sent again", "error", err)
		}
		for _, f := range done {
			f(err)
		}
	}
}

// slots bounds deliveries over all endpoints. An endpoint's first delivery needs
// none, so that those of others never keep it waiting.
type slots struct {
	free    atomic.Int64
	mu      sync.Mutex
	waiting []*endpoint
}

// take is false when all are taken; the endpoint is then woken when one is free.
func (s *slots) take(e *endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free.Load() > 0 {
		s.free.Add(-1)
		return true
	}
	for _, w := range s.waiting {
		if w == e {
			return false
		}
	}
	s.waiting = append(s.waiting, e)
	return false
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free.Add(1)
	if len(s.waiting) > 0 {
		s.waiting[0].signal()
		s.waiting = s.waiting[1:]
	}
}

// jitter adds up to a quarter by chance, so that what failed together does not
// come again together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/4+1) }
