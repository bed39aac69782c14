package sim

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
)

// host is one bank with its books; it outlives every instance of the switch.
type host struct {
	w       *world
	n       int
	address string
	bank    *banksim.Bank

	mu    sync.Mutex
	dice  *rand.Rand
	conns []*simnet.Conn  // the bank's ends
	lied  map[string]bool // RRNs whose answer was made not to match
}

// ear is the bank's listener; it remembers the connections, to hurt them.
type ear struct {
	net.Listener
	h *host
}

func (e ear) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err == nil {
		e.h.mu.Lock()
		e.h.conns = append(e.h.conns, c.(*simnet.Conn))
		e.h.mu.Unlock()
	}
	return c, err
}

func (w *world) openHost(n int) *host {
	h := &host{w: w, n: n, lied: map[string]bool{}, address: "bank:910" + strconv.Itoa(n), dice: stream(w.seed, 200+uint64(n))}
	l, err := w.net.Listen(h.address)
	if err != nil {
		panic(err)
	}
	h.bank, err = banksim.New(banksim.Config{Dialect: dialects[n], Listener: ear{l, h}, LateBy: w.lateBy, Seed: w.seed,
		AnswerElsewhere: w.faults&elsewhere != 0, Script: h.script})
	if err == nil {
		err = h.bank.Start()
	}
	if err != nil {
		panic(err)
	}
	return h
}

func (h *host) close() { _ = h.bank.Close() }

func (h *host) control(c banksim.Control) {
	if err := h.bank.Control(c); err != nil {
		panic(err)
	}
}

// misbehave puts the bank in a mode for a while.
func (h *host) misbehave(e event) {
	c := banksim.Control{Mode: e.what}
	switch e.what {
	case "mute_unbooked":
		no := false
		c = banksim.Control{Mode: banksim.ModeMute, Book: &no}
	case "down":
		h.control(banksim.Control{Mode: banksim.ModeRefuse})
		c.Mode = banksim.ActDrop
	}
	h.control(c)
	if i := h.w.visit(); i != nil {
		if i.queued() > 0 {
			h.w.hit("bank_away_while_owed")
		}
		i.guests.Done()
	}
	pass(e.size)
	switch e.what {
	case banksim.ActSignOff:
		h.control(banksim.Control{Mode: banksim.ActSignOn})
	default:
		h.control(banksim.Control{Mode: banksim.ModeNormal})
	}
}

// hurt does something to every link of the bank.
func (h *host) hurt(e event) {
	h.mu.Lock()
	ends := append([]*simnet.Conn(nil), h.conns...)
	h.mu.Unlock()
	var near []*simnet.Conn
	if i := h.w.visit(); i != nil {
		i.mu.Lock()
		for _, t := range i.conns {
			if t.bank == h.n {
				near = append(near, t.Conn)
			}
		}
		i.mu.Unlock()
		i.guests.Done()
	}
	switch e.what {
	case "cut":
		for _, c := range near {
			c.Cut()
		}
	case "vanish":
		for _, c := range near {
			c.Vanish()
		}
	case "stall_bank":
		stall(ends, e.size)
	case "stall_switch":
		stall(near, e.size)
	}
}

// stall holds up every link or, for every other duration, the last one only: what
// stands in it is then overtaken on the others.
func stall(conns []*simnet.Conn, d time.Duration) {
	if d%2 == 1 && len(conns) > 1 {
		conns = conns[len(conns)-1:]
	}
	for _, c := range conns {
		c.Stall(true)
	}
	pass(d)
	for _, c := range conns {
		c.Stall(false)
	}
}

// script is the bank's bad day: some messages meet a fault.
func (h *host) script(a *banksim.Ask, p *banksim.Plan) {
	h.disturb(a, p)
	if m := a.Message.MTI; m.Function() == advice && m.Class() == 2 && p.Code != "00" {
		p.Code, p.Effect = "12", banksim.ByCode // a bank refuses an advice for good, or takes it
	}
	if p.Fault == banksim.FaultAmount && a.Message.MTI.Class() != 4 {
		h.mu.Lock()
		h.lied[string(a.Message.Get(37))] = true
		h.mu.Unlock()
	}
}

// advice is the function digit of messages that tell what was done.
const advice = 2

func (h *host) disturb(a *banksim.Ask, p *banksim.Plan) {
	if h.w.calm.Load() || h.w.faults&scriptFaults == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.dice
	switch a.Message.MTI.Class() {
	case 8:
		if oneIn(r, 12) {
			p.Fault = banksim.FaultNoAnswer
			h.w.hit("echo_lost")
		}
	case 4:
		h.reversalFault(r, p)
	default:
		// Where merchants go on after the payment, most payments succeed.
		if first := len(a.Message.Get(90)) == 0; !first {
			h.operationFault(r, p)
		} else if h.w.faults&operations == 0 || oneIn(r, 2) {
			h.requestFault(r, p)
		}
	}
}

func (h *host) requestFault(r *rand.Rand, p *banksim.Plan) {
	if p.Fault != banksim.FaultNone || p.Code != "00" || !oneIn(r, 2) {
		return
	}
	switch fate := r.IntN(14); fate {
	case 0, 1:
		p.Delay = between(r, responseTimeout-5*time.Millisecond, responseTimeout+5*time.Millisecond)
		h.w.hit("answer_at_the_deadline")
	case 2, 3:
		p.Delay = between(r, responseTimeout, 5*time.Second)
	case 4, 5:
		p.Delay = between(r, 5*time.Second, 9*time.Second)
	case 6:
		p.Code, p.Delay = "51", between(r, responseTimeout, 9*time.Second)
	case 7:
		p.Code, p.Effect = []string{"68", "09", "91", "96", "10"}[r.IntN(5)], banksim.Effect(r.IntN(2))
		if p.Code == "10" {
			p.Effect = banksim.ByCode
		} else if p.Code == "91" || p.Code == "96" {
			p.Effect = banksim.Nothing
		}
	default:
		p.Fault = banksim.Fault(1 + r.IntN(int(banksim.FaultCutHalf)))
		h.w.hit("fault_" + faultWords[p.Fault])
	}
}

// operationFault is requestFault with more of what is rare after a payment.
func (h *host) operationFault(r *rand.Rand, p *banksim.Plan) {
	switch quiet := p.Fault != banksim.FaultNone || p.Code != "00"; {
	case !quiet && oneIn(r, 20):
		p.Fault = banksim.FaultAmount
	case !quiet && oneIn(r, 8):
		p.Delay = between(r, 5*time.Second, 9*time.Second)
	default:
		h.requestFault(r, p)
	}
}

var faultWords = []string{"none", "no_answer", "late", "duplicate", "amount", "garbled", "stan", "pieces", "cut", "cut_unseen", "cut_half"}

func (h *host) reversalFault(r *rand.Rand, p *banksim.Plan) {
	if !oneIn(r, 3) {
		return
	}
	switch r.IntN(8) {
	case 0:
		p.Code = "12"
	case 1:
		p.Code = "96"
		h.w.hit("reversal_retry_code")
	case 2, 3:
		p.Delay = between(r, reversalTimeout, 12*time.Second)
		h.w.hit("reversal_answered_late")
	default:
		p.Fault = []banksim.Fault{banksim.FaultNoAnswer, banksim.FaultDuplicate, banksim.FaultGarbled, banksim.FaultSTAN, banksim.FaultPieces,
			banksim.FaultCut, banksim.FaultCutUnseen, banksim.FaultCutHalf}[r.IntN(8)]
		h.w.hit("reversal_fault_" + faultWords[p.Fault])
	}
}
